"""A report as one HTML file: pictures inside, nothing fetched, works offline.

What a model wrote enters it as escaped text and as PNG only, never as markup.
"""

import base64
import html


def data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def page(title: str, body: str, script: str = "") -> str:
    """Return the file's text. body: HTML. script: JavaScript of ours; without any the page may run none."""
    scripts = "; script-src 'unsafe-inline'" if script else ""
    body += f"<script>{script}</script>" if script else ""
    return _PAGE.format(title=html.escape(title), style=STYLE, body=body, scripts=scripts)


STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3, figcaption { overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #8884; text-align: right; }
td:first-child, th:first-child { text-align: left; }
.interval { display: inline-block; width: 5.5em; color: #777; font-size: 85%; text-align: left; }
.curve { max-width: 100%; background: white; }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(13rem, 50% - .5rem), 1fr)); gap: 1rem; }
figure { margin: 0; min-width: 0; }
figure img, .none { box-sizing: border-box; width: 100%; aspect-ratio: 1; }
figure img, .none { border: 1px solid #8884; background: white; }
.none { display: grid; place-items: center; color: #777; }
.good { color: #1a7f37; } .bad { color: #c0392b; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'{scripts}">
<title>{title}</title>
<style>{style}</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""
