"""The page at /, in Chromium: type, wait, see, take it away; and what a hostile answer can do there: nothing."""

import io
import json
import re
import shutil
import time

import httpx2
import pytest
from PIL import Image

from qwen_svg.common.dataset import Sample
from qwen_svg.evaluation.judge import judge
from qwen_svg.evaluation.metrics import Column
from qwen_svg.evaluation.report import write_report
from svg_constraint import PROMPT_TABLE, SVG_OPEN, check
from tests.served import Script, serving
from tests.test_serve import MXSS
from tests.tiny import answer

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def script(tokenizer):
    return Script(tokenizer)


@pytest.fixture(scope="module")
def site(script):
    with serving(script) as site:
        yield site


@pytest.fixture
def page(browser, site):
    """The page, in a fresh browser profile; at the end nothing outside has been asked for and nothing gone wrong."""
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(10_000)
    page = context.new_page()
    faults, asked = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
    page.goto(site.url)
    yield page
    context.close()
    assert not [fault for fault in faults if "status of " not in fault]  # the browser's own word on a 4xx
    assert not [url for url in asked if not url.startswith((site.url, "blob:", "data:"))]


def picture_pixel(page, x, y):
    """Return [r, g, b] of the picture shown, in the drawing's own coordinates."""
    return page.evaluate(
        """([x, y]) => { const c = document.createElement('canvas'); c.width = c.height = 256;
        const p = c.getContext('2d'); p.drawImage(document.getElementById('picture'), 0, 0, 256, 256);
        return [...p.getImageData(x, y, 1, 1).data].slice(0, 3); }""",
        [x, y],
    )


def test_type_wait_see_and_take_it_away_with_the_keyboard_alone(page):
    page.keyboard.type("a gold circle")
    page.keyboard.press("Enter")
    page.wait_for_selector(".badge.good")
    assert picture_pixel(page, 128, 128) == [255, 215, 0]
    assert page.get_attribute("#picture", "src").startswith("blob:")
    assert page.get_attribute("#picture", "alt") == "a gold circle"
    assert page.inner_text("#reasoning") == "1. A gold circle" and page.inner_text("#code") in answer()
    page.focus("#save-svg")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "a-gold-circle.svg"
    assert check(download.value.path().read_bytes()).valid
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Space")
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_the_drawing_appears_as_it_is_written(page, script):
    first, second = '<circle cx="60" cy="60" r="50" fill="red"/>', '<circle cx="200" cy="200" r="50" fill="blue"/>'
    head = answer().split("<circle")[0]
    script.text = f"{head}{first}<!-- b > c --><g>{second}</g></svg>"
    script.hold_after = len(script.tokenizer.encode(f"{head}{first}<!-- b > c --><g><circle cx="))
    try:
        page.fill("#description", "two circles")
        page.press("#description", "Enter")
        page.wait_for_selector("#picture:not([hidden])")
        assert picture_pixel(page, 60, 60) == [255, 0, 0] and picture_pixel(page, 200, 200) == [0, 0, 0]
        assert not page.query_selector(".badge.good") and page.is_visible("#bar")
        assert page.is_disabled("#copy") and "Drawing" in page.inner_text("#status")
    finally:
        script.gate.set()
        script.hold_after, script.text = None, answer()
    page.wait_for_selector("#bar", state="hidden")


def asked(page, description, key="Enter"):
    """Ask for a drawing, and return what the page sent."""
    page.fill("#description", description)
    with page.expect_request("**/v1/svg") as sent:
        page.press("#description", key)
    return sent.value.post_data_json


def test_stop_keeps_what_has_been_drawn(page, script, site):
    """Also beyond a reload. It is a copy with nothing but what is allowed: the server has not checked it."""
    head, shape = answer().split("<circle")[0], '<circle cx="60" cy="60" r="50" fill="red"/>'
    script.text = f'{head}{shape}<script>top.alert(1)</script><!-- late --><g onload="alert(2)">{shape}</g></svg>'
    script.hold_after = len(script.tokenizer.encode(script.text.split("</g>")[0]))
    try:
        wish = asked(page, "two circles")
        page.wait_for_selector("#picture:not([hidden])")
        page.click("#stop")
        page.wait_for_selector("text=stopped")
    finally:
        script.hold_after = None
        script.gate.set()
    while httpx2.get(f"{site.url}/healthz").json()["open"]:
        time.sleep(0.01)
    script.text = answer()
    page.reload()
    page.click("#strip button")
    page.wait_for_selector("#picture[alt='two circles']")
    assert picture_pixel(page, 60, 60) == [255, 0, 0] and not page.query_selector(".badge.good")
    assert page.inner_text("#keep-seed") == f"seed {wish['seed']}"
    with page.expect_download() as download:
        page.click("#save-svg")
    saved = download.value.path().read_text()
    assert check(saved).violations == [] and saved.count("<circle") == 2 and "<!-- late -->" in saved


def test_the_seed_is_shown_and_repeats_the_drawing(page, script):
    first = asked(page, "a circle")
    page.wait_for_selector(".badge.good")
    assert page.inner_text("#keep-seed") == f"seed {first['seed']}"
    page.fill("#temperature", "1.5")
    page.fill("#description", "a square")
    page.focus("#keep-seed")
    page.keyboard.press("Enter")
    with page.expect_request("**/v1/svg") as sent:
        page.press("#description", "Enter")
    assert sent.value.post_data_json == first == {"description": "a circle", "seed": first["seed"], "temperature": 0.7}
    page.wait_for_selector(".badge.good")
    assert (script.asked[1].seed, script.asked[1].temperature) == (first["seed"], 0.7)
    with page.expect_request("**/v1/svg") as sent:
        page.click("#again")
    assert sent.value.post_data_json["seed"] != first["seed"]


# --- changing a drawing ---------------------------------------------------------------------------------------

HOUSE = f"""{SVG_OPEN}
<!-- blue sky -->
<rect x="0" y="0" width="256" height="128" fill="#88ccff"/>
<!-- A house, red: two walls and a roof. -->
<g><rect x="80" y="100" width="96" height="80" fill="#c0392b"/><path d="M80 100 l48 -40 l48 40 z" fill="brown"/></g>
<!-- yellow windows -->
<rect x="90" y="120" width="20" height="20" fill="yellow"/>
<rect x="146" y="120" width="20" height="20" fill="yellow"/>
<g>
<!-- tree -->
<circle cx="30" cy="160" r="20" fill="green"/>
<!-- tree -->
<circle cx="226" cy="160" r="20" fill="green"/>
</g>
<!-- path -->
<line x1="128" y1="180" x2="128" y2="250" stroke="gray"/>
</svg>"""
NAMES = ["the blue sky", "the house", "the red rectangle", "the brown shape", "the yellow windows",
         "the left yellow square", "the right yellow square", "the left tree", "the right tree",
         "the path"]  # fmt: skip


def stand_in(page, *svgs):
    """Let a server that draws these, one after the other, answer the page; return what it is sent. None: no answer."""
    sent, left = [], list(svgs)

    def draw(route):
        sent.append(route.request.post_data_json)
        if (svg := left.pop(0)) is None:
            return
        asked = sent[-1]
        drawn = {"id": f"drawing-{len(sent)}", "description": asked.get("description", asked.get("instruction")),
                 "reasoning": "1.", "svg": svg, "verdict": check(svg).to_json(), "seed": asked["seed"], "tokens": 1,
                 "seconds": 1, "finished": True}  # fmt: skip
        route.fulfill(content_type="text/event-stream", body=f"event: drawing\ndata: {json.dumps(drawn)}\n\n")

    page.route("**/v1/svg", draw)
    return sent


@pytest.fixture
def house(page):
    """The page with a house on it, and what it sends when it is changed into one with a navy sky, then a black one."""
    sent = stand_in(page, HOUSE, HOUSE.replace("#88ccff", "navy"), HOUSE.replace("#88ccff", "black"), None)
    asked(page, "a house")
    page.wait_for_selector(".badge.good")
    return sent


def change(page, instruction):
    page.fill("#instruction", instruction)
    page.press("#instruction", "Enter")
    page.wait_for_selector(f"#picture[alt$='{instruction}']")


def click(page, x, y):
    """Click the picture, in the drawing's own coordinates."""
    box = page.locator("#paper").bounding_box()
    page.mouse.click(box["x"] + x / 256 * box["width"], box["y"] + y / 256 * box["height"])


def test_every_part_has_a_name(page, house):
    """By its comment, or by tag and colour; by its place where two have the same."""
    assert page.eval_on_selector_all("#parts [role=button]", "all => all.map(n => n.ariaLabel)") == NAMES


def test_colors_have_the_words_of_every_day(page):
    words = {"#c0392b": "red", "#8b4513": "brown", "#ff9800": "orange", "#ffeb3b": "yellow", "rgb(0, 128, 0)": "green",
             "#008080": "teal", "#1e90ff": "blue", "#000080": "navy", "#8e44ad": "purple", "#ff69b4": "pink",
             "#ffb6c1": "pink", "#777": "gray", "#fafafa": "white", "#111": "black", "gold": "gold"}  # fmt: skip
    assert {color: page.evaluate("color => colorWord(color)", color) for color in words} == words


def test_a_click_on_a_part_names_it_in_the_instruction(page, house):
    for (x, y), name in (
        ((20, 20), "the blue sky"),
        ((128, 170), "the house"),
        ((128, 170), "the red rectangle"),  # once more: the shape itself
        ((128, 90), "the house"),
        ((100, 130), "the yellow windows"),
        ((100, 130), "the left yellow square"),
        ((226, 160), "the right tree"),
        ((129.5, 220), "the path"),  # a line one unit wide, hit beside it
    ):
        click(page, x, y)
        assert page.input_value("#instruction") == name
        assert page.evaluate("document.activeElement.id") == "instruction"
    click(page, 240, 240)  # nothing is there
    assert page.input_value("#instruction") == "the path"
    page.fill("#instruction", "put beside ")
    click(page, 226, 160)
    page.keyboard.type(" a cat")
    assert page.input_value("#instruction") == "put beside the right tree a cat"


def test_a_part_is_lit_and_told_under_the_pointer(page, house):
    box = page.locator("#paper").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.66)
    assert page.inner_text("#name") == "the house"
    assert page.eval_on_selector_all("#parts .lit", "all => all.map(n => n.ariaLabel)") == ["the house"]
    page.mouse.move(0, 0)
    assert page.is_hidden("#name") and not page.query_selector("#parts .lit")


def test_parts_are_named_and_the_drawing_is_changed_with_the_keyboard_alone(page, house):
    page.focus("#description")
    while page.evaluate("document.activeElement.getAttribute('aria-label')") != NAMES[0]:
        page.keyboard.press("Tab")
    told = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowUp", "Home", "End", "ArrowLeft"):
        page.keyboard.press(key)
        told.append(page.inner_text("#name"))
    assert told == [NAMES[i] for i in (1, 2, 1, 0, 9, 0, 9, 8)]
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    page.keyboard.type("remove ")
    page.keyboard.press("Enter")
    page.wait_for_selector("#picture[alt='a house, remove the right tree']")
    assert (house[1]["svg"], house[1]["instruction"]) == (HOUSE, "remove the right tree")
    assert house[1].keys() == {"svg", "instruction", "seed", "temperature"}


def test_changes_are_undone_one_by_one_also_after_a_reload(page, house):
    change(page, "a navy sky")
    change(page, "a black sky")
    assert house[2]["svg"] == HOUSE.replace("#88ccff", "navy")
    assert picture_pixel(page, 128, 10) == [0, 0, 0] and page.input_value("#instruction") == ""
    page.keyboard.press("Control+z")
    page.wait_for_selector("#picture[alt='a house, a navy sky']")
    assert picture_pixel(page, 128, 10) == [0, 0, 128]
    page.fill("#instruction", "a word")  # whose typing has an undo of its own
    page.keyboard.press("Control+z")
    assert picture_pixel(page, 128, 10) == [0, 0, 128]
    page.reload()
    page.click("#strip li:nth-child(2) button")
    page.wait_for_selector("#picture[alt='a house, a navy sky']")
    assert page.input_value("#description") == "a house"
    page.click("#undo")
    page.wait_for_selector("#picture[alt='a house']")
    assert picture_pixel(page, 128, 10) == [0x88, 0xCC, 0xFF] and page.is_hidden("#undo") and page.is_hidden("#slider")
    assert page.evaluate("document.activeElement.id") == "instruction"


def test_before_and_after_are_compared_with_the_keyboard(page, house):
    assert page.is_hidden("#slider")
    change(page, "a navy sky")

    def sky_at(share):
        box = page.locator("#paper").bounding_box()
        at = {"x": box["x"] + share * box["width"], "y": box["y"] + 20, "width": 1, "height": 1}
        return Image.open(io.BytesIO(page.screenshot(clip=at))).convert("RGB").getpixel((0, 0))

    navy, blue = (0, 0, 128), (0x88, 0xCC, 0xFF)
    assert (sky_at(0.2), sky_at(0.8)) == (navy, navy)
    page.focus("#compare")
    for _ in range(5):
        page.keyboard.press("PageUp")
    assert page.input_value("#compare") == "50" and (sky_at(0.2), sky_at(0.8)) == (blue, navy)
    page.keyboard.press("End")
    assert (sky_at(0.2), sky_at(0.8)) == (blue, blue)
    page.keyboard.press("Home")
    assert (sky_at(0.2), sky_at(0.8)) == (navy, navy)
    page.keyboard.press("Control+z")
    page.wait_for_selector("#picture[alt='a house']")


def test_a_change_that_is_stopped_or_fails_leaves_the_drawing_as_it_was(page, house):
    change(page, "a navy sky")
    change(page, "a black sky")
    page.fill("#instruction", "a red sky")
    page.press("#instruction", "Enter")
    page.wait_for_selector("#stop:not([hidden])")
    page.keyboard.press("Escape")
    page.wait_for_selector("text=Stopped")
    assert picture_pixel(page, 128, 10) == [0, 0, 0] and page.input_value("#instruction") == "a red sky"
    page.unroute("**/v1/svg")
    told = {"error": {"message": "the prompt is too long."}}
    page.route("**/v1/svg", lambda route: route.fulfill(status=422, json=told))
    page.press("#instruction", "Enter")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error p") == "The prompt is too long." and not page.is_disabled("#save-svg")
    assert page.get_attribute("#picture", "alt") == "a house, a navy sky, a black sky"


def test_the_seed_of_a_change_repeats_it(page, house):
    change(page, "a navy sky")
    page.click("#keep-seed")
    page.wait_for_selector("#picture[alt='a house']")
    page.press("#instruction", "Enter")
    page.wait_for_selector("#picture[alt='a house, a navy sky']")
    assert house[2] == house[1]


def test_warnings_are_there_to_read(page, script):
    script.text = answer().replace('cx="128"', 'cx="250"')
    asked(page, "a circle")
    page.wait_for_selector("#warnings li")
    script.text = answer()
    (warning,) = check(answer().split("</reasoning>")[1].strip().replace('cx="128"', 'cx="250"')).warnings
    assert page.inner_text("#warnings li") == f"Line {warning.line}: {warning.message}"
    asked(page, "a circle")
    page.wait_for_selector("#warnings", state="hidden")


def test_what_is_no_temperature_is_not_sent(page):
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.fill("#temperature", "7")
    page.fill("#description", "a circle")
    page.press("#description", "Enter")
    assert page.evaluate("document.activeElement.id") == "temperature" and not sent


def test_escape_stops_the_drawing_and_the_model(page, script, site):
    script.gate.clear()
    try:
        page.fill("#description", "a")
        page.press("#description", "Enter")
        page.wait_for_selector("#stop:not([hidden])")
        page.keyboard.press("Escape")
        page.wait_for_selector("text=Stopped")
    finally:
        script.gate.set()
    page.wait_for_selector("#draw:not([hidden])")
    assert not page.query_selector(".badge") and httpx2.get(f"{site.url}/healthz").json()["open"] == 0


def test_earlier_drawings_come_back_also_after_a_reload(page, script):
    for colour in ("navy", "teal"):
        script.text = answer(colour)
        page.fill("#description", f"a {colour} circle")
        page.press("#description", "Enter")
        page.wait_for_selector(f"#picture[alt='a {colour} circle']")
    script.text = answer()
    page.reload()
    page.focus("#strip li:first-child button")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#picture[alt='a navy circle']")
    assert picture_pixel(page, 128, 128) == [0, 0, 128] and page.input_value("#description") == "a navy circle"


def test_what_is_turned_away_is_told(page, script):
    page.fill("#description", "too long for the model")
    page.press("#description", "Enter")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error p") == "The prompt is too long."
    page.fill("#description", "a circle")
    page.press("#description", "Enter")
    page.wait_for_selector(".badge.good")
    assert page.is_hidden("#error")


def test_a_hostile_answer_is_refused(browser, tokenizer):
    script = Script(tokenizer, MXSS)
    with serving(script, free=True) as site:
        page = browser.new_page()
        page.goto(site.url)
        page.fill("#description", "a circle")
        page.press("#description", "Enter")
        page.wait_for_selector("#error li")
        assert "comment-markup" in page.inner_text("#error") and page.is_hidden("#picture")
        assert page.is_disabled("#save-svg") and page.is_hidden("#history")
        page.close()


HOSTILE = (
    MXSS,
    answer().replace("<circle", "<script>top.alert(1)</script><circle"),
    answer().replace("<circle", '<image href="http://192.0.2.1/a.png" onerror="alert(1)"/><circle onload="alert(2)"'),
    "<reasoning><img src=x onerror=alert(3)></reasoning>" + answer().split("</reasoning>")[1],
    answer().replace("<svg", "<svg onload='alert(4)'"),
)


def lie(page, text, verdict):
    """Let the page draw, and a server answer with this text and verdict."""
    drawn = {"id": "a", "description": "<img src=x onerror=alert(5)>", "reasoning": text, "tokens": 1, "seconds": 1,
             "svg": text[text.index("<svg") :], "verdict": verdict, "finished": True}  # fmt: skip
    stream = "".join(f"event: text\ndata: {json.dumps({'text': part})}\n\n" for part in re.findall(".{1,9}", text))
    stream += f"event: drawing\ndata: {json.dumps(drawn)}\n\n"
    page.route("**/v1/svg", lambda route: route.fulfill(content_type="text/event-stream", body=stream))
    page.fill("#description", "a circle")
    page.press("#description", "Enter")
    page.wait_for_selector(".badge.good, #error:not([hidden])")


@pytest.mark.parametrize("text", HOSTILE)
def test_even_a_server_that_lies_runs_nothing_in_the_page(page, text):
    """The page trusts no text: the `page` fixture fails on a dialog, an error of the page, or a request elsewhere."""
    lie(page, text, {"valid": True, "warnings": []})
    assert page.evaluate("document.scripts.length") == 1 and not page.query_selector("main img[onerror]")
    parts = page.eval_on_selector_all(
        "main svg, main svg *", "all => all.map(n => [n.localName, n.getAttributeNames()])"
    )
    for tag, attributes in parts:
        assert set(attributes) <= PROMPT_TABLE[tag] | {"id", "role", "aria-label", "tabindex", "class"}


def test_a_drawing_that_comes_with_a_bad_verdict_does_not_stay(page):
    violation = {"rule": "tag", "line": 3, "message": "<image> is not allowed"}
    lie(page, answer(), {"valid": False, "warnings": [], "violations": [violation]})
    assert "tag, line 3" in page.inner_text("#error li") and page.is_hidden("#picture")
    assert page.is_disabled("#save-svg") and page.is_hidden("#history")


def test_a_token_is_asked_for(browser, tokenizer):
    with serving(Script(tokenizer), token="s3cret") as site:
        page = browser.new_page()
        page.goto(site.url)
        page.fill("#description", "a circle")
        page.press("#description", "Enter")
        page.wait_for_selector("#token")
        page.fill("#token", "s3cret")
        page.press("#token", "Enter")
        page.wait_for_selector(".badge.good")
        page.close()


def test_it_fits_a_phone_and_the_dark(browser, site):
    context = browser.new_context(viewport={"width": 360, "height": 700}, color_scheme="dark", is_mobile=True)
    page = context.new_page()
    page.goto(site.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert max(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor")))) < 40
    context.close()


def test_on_a_phone_all_is_there_and_wide_enough_for_a_finger(browser, site):
    """44 × 44 CSS pixels: WCAG 2.2, success criterion 2.5.5."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(site.url)
    stand_in(page, HOUSE, HOUSE)
    asked(page, "a house")
    page.wait_for_selector(".badge.good")
    change(page, "a path")
    for name in ("temperature", "seed", "keep-seed", "undo", "again", "compare", "instruction", "send"):
        assert page.is_visible(f"#{name}")
    box = page.locator("#paper").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.88, box["y"] + box["height"] * 0.62)
    assert page.input_value("#instruction") == "the right tree"
    sizes = page.eval_on_selector_all(
        "button, input, textarea, header a",
        """all => all.filter(one => one.offsetWidth).map(one => {
        const { width, height, left, right } = one.getBoundingClientRect();
        return [one.id || one.className || one.innerText, width, height, left, right]; })""",
    )
    assert len(sizes) > 18 and [size for size in sizes if min(size[1:3]) < 44] == []
    assert [size for size in sizes if size[0] != "example" and (size[3] < 0 or size[4] > 390)] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.unroute("**/v1/svg")
    page.route("**/v1/svg", lambda route: route.fulfill(status=422, json={"error": {"message": "no."}}))
    page.press("#instruction", "Enter")
    page.wait_for_selector("#error:not([hidden])")
    assert page.locator("#error").bounding_box()["y"] >= 0  # scrolled to: the box is a screen below it
    context.close()


def test_the_policy_lets_in_nothing_but_the_page_itself(site):
    response = site.get("/")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and "unsafe" not in response.headers["content-security-policy"]
    assert policy["script-src"].startswith("'sha256-") and policy["connect-src"] == "'self'"
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?://(?!www\.w3\.org)", response.text
    )


@pytest.mark.parametrize(("width", "side_by_side"), [(1024, 4), (390, 2)])
def test_a_report_keeps_before_and_after_side_by_side(browser, tmp_path, width, side_by_side):
    samples = [Sample("1", "a circle", answer())]
    judged = {name: [judge(answer())] for name in ("reference", "base", "tuned", "constrained")}
    metrics = {name: Column(column).metrics() for name, column in judged.items()}
    write_report(tmp_path / "report.html", tmp_path, metrics, samples, judged)
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    tops = page.eval_on_selector_all("figure", "all => all.map(one => one.getBoundingClientRect().top)")
    assert tops.count(tops[0]) == side_by_side
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
