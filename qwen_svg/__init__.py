"""What the scripts share, in rooms. A room imports only from those below it:

serving
generation
training, evaluation    neither knows of the other
model
common
svg                     below svg_constraint.py and prompt_template.py
"""
