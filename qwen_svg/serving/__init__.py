"""What serve.py needs: routes, the worker thread, the page."""
