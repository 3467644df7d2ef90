"""The search finds the right pages, in both languages, by keyboard and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers.site_reader import Reader
from playwright.sync_api import Page

pytestmark = pytest.mark.site
Read = Callable[..., Reader]

CREATE = "lessons/tensors/01_create.html"
RUN = "lessons/start/02_define_by_run.html"
QUICK = "lessons/start/01_quickstart.html"
CUSTOM = "lessons/autograd/04_custom_function.html"
LAYERS = "lessons/networks/02_layers.html"
LOOP = "lessons/networks/07_training_loop.html"
MNIST = "lessons/practice/02_mnist.html"
GLOSSARY, INSTALL = "glossary.html", "install.html"
MODELS, TRAINING = "api/models.html", "api/training.html"

# One of these pages must be among the first three results of the query.
QUERIES = {
    "zh": {
        "张量": [CREATE],
        "梯度": [CUSTOM],
        "卷积": [MNIST, GLOSSARY, MODELS],
        "视图": [GLOSSARY, CREATE],
        "安装": [INSTALL],
        "梯度下降": [GLOSSARY, LOOP],
        "反向传播": [LOOP, CUSTOM, GLOSSARY],
        "训练循环": [LOOP],
        "混淆矩阵": [MNIST],
        "requires_grad 梯度": [CUSTOM, RUN],
        "梯度requires_grad": [CUSTOM, RUN],
        "Conv2d 卷积": [LAYERS, MODELS, GLOSSARY],
        "随机种子": [CREATE, GLOSSARY],
        "nn.Conv2d": [LAYERS],
        "requires_grad": [CUSTOM, RUN],
        "torch.empty": [CREATE],
        "gradcheck": [CUSTOM],
    },
    "en": {
        "tensor": [CREATE],
        "gradient": [CUSTOM],
        "gradients": [CUSTOM],
        "training loop": [LOOP],
        "confusion matrix": [MNIST],
        "dynamic graph": [RUN],
        "install": [INSTALL],
        "learning rate": [GLOSSARY, LOOP],
        "checkpoint": [TRAINING],
        "nn.Conv2d": [LAYERS],
        "requires_grad": [CUSTOM, RUN],
        "torch.empty": [CREATE],
        "torch.empty(3)": [CREATE],
        "gradcheck": [CUSTOM],
        "handbook.fit": [TRAINING],
        "LeNet": [MNIST, MODELS, QUICK],
    },
}


def results(page: Page, query: str) -> list[tuple[str, str]]:
    """Search in the open dialog; return address and excerpt of the first three results."""
    field = page.locator("input[type=search]:visible")
    field.fill("")
    page.locator(".hb-search__results").filter(has_not=page.locator("li")).wait_for(
        state="attached"
    )
    field.fill(query)
    page.locator(".hb-search__link").first.wait_for()
    return page.eval_on_selector_all(
        ".hb-search__link",
        """all => all.slice(0, 3).map((e) => [
             new URL(e.href).pathname.replace(/.*[/](en|zh)[/]/, ""),
             e.querySelector(".hb-search__excerpt").textContent])""",
    )


@pytest.mark.parametrize("folder", QUERIES)
def test_the_right_page_is_among_the_first_three(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/index.html")
    page.keyboard.press("Control+k")
    missed = {}
    for query, wanted in QUERIES[folder].items():
        found = results(page, query)
        assert all(len(excerpt) > 10 for _, excerpt in found), query
        if not set(wanted) & {address for address, _ in found}:
            missed[query] = found
    assert missed == {}


def test_by_keyboard(read: Read) -> None:
    page = read("zh").open(f"zh/{MNIST}")
    page.keyboard.press("/")
    page.keyboard.type("torch.empty")
    page.locator(".hb-search__link mark").first.wait_for()
    page.keyboard.press("ArrowDown")
    assert page.locator(".hb-search__link").first.evaluate("e => e === document.activeElement")
    page.keyboard.press("ArrowUp")
    assert page.locator("input[type=search]:visible").evaluate("e => e === document.activeElement")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/zh/{CREATE}*")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    assert not page.locator(".hb-search").is_visible()


def test_enter_goes_to_the_first_result(read: Read) -> None:
    page = read("en").open("en/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("gradcheck")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/en/{CUSTOM}*")


def test_on_a_phone(read: Read) -> None:
    page = read("zh", phone=True).open(f"zh/{LOOP}")
    page.locator(".hb-search-open:visible").tap()
    page.locator("input[type=search]:visible").fill("张量")
    page.locator(".hb-search__link").first.tap()
    page.wait_for_url("**/zh/**")
    assert "张量" in page.locator("article").inner_text()


@pytest.mark.parametrize(("folder", "none"), [("en", "No page contains this"), ("zh", "没有找到")])
def test_the_search_page(read: Read, folder: str, none: str) -> None:
    reader = read(folder)
    page = reader.open(f"{folder}/search.html?q=torch.empty")
    page.locator(f".hb-search__link[href*='{CREATE}']").first.wait_for()
    page.locator("input[type=search]").fill("zzzz")
    page.get_by_text(none).wait_for()
    assert page.url.endswith("?q=zzzz")


@pytest.mark.parametrize("folder", ["en", "zh"])
def test_each_index_holds_one_language(read: Read, folder: str) -> None:
    page = read(folder).open(f"{folder}/index.html")
    page.keyboard.press("Control+k")
    page.wait_for_function("window.handbookIndex")
    titles = page.evaluate("window.handbookIndex.map((page) => page[1])")
    chinese = [any("\u4e00" <= c <= "\u9fff" for c in title) for title in titles]
    assert all(chinese) if folder == "zh" else not any(chinese)
