"""report.html in a real browser: nothing breaks, charts are drawn, filters, tabs and both directions work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from sweeps.confirm.verdict import judge
from sweeps.report import ReportExtras, write_report
from sweeps.run.folder import RunFolder
from sweeps.run.run import read_run
from tests.sweeps.report.chromium import Browser, executable
from tests.sweeps.report.pages import BETTER, DEFAULT, hostile
from tests.sweeps.report.report_runs import confirmation_events, extras, judged, write_run

pytestmark = [
    pytest.mark.skipif(executable() is None, reason="no chromium on this machine"),
    pytest.mark.slow,
]

TRIALS = 40
SPACE, TAB = 32, 9


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with something in every part of its page."""
    folder = write_run(tmp_path_factory.mktemp("runs"), trials=TRIALS)
    run = judged(folder, judge(BETTER, DEFAULT))
    write_report(run, extras(persian=True), "fa").rename(folder.path / "fa.html")
    write_report(run, extras())
    return folder


def url(folder: RunFolder, name: str = "report.html", view: str = "") -> str:
    return (folder.path / name).as_uri() + (f"#view:{view}" if view else "")


def visible(browser: Browser) -> set[str]:
    """The trials whose lines can be seen in the chart of the objective."""
    script = """[...document.querySelectorAll("#objective-by-epoch g.trial")]
        .filter(drawn => drawn.getClientRects().length).map(drawn => drawn.dataset.trial)"""
    return set(browser.run(script))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", ["report.html", "fa.html"])
def test_no_page_complains_loads_anything_or_is_wider_than_its_window(
    browser: Browser, folder: RunFolder, name: str, width: int, dark: bool
) -> None:
    browser.open(url(folder, name), width=width, dark=dark)
    assert browser.complaints() == []
    assert browser.requests() == [url(folder, name)]
    assert browser.run("document.documentElement.scrollWidth") <= width
    unreadable = """(() => {
        const channel = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
        const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
            return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b); };
        const page = light(getComputedStyle(document.body).backgroundColor);
        const texts = "body, .quiet, .headline, .severity, a, .state, .chart text";
        return [...document.querySelectorAll(texts)].filter(one => {
            const ink = light(one.closest("svg") ? getComputedStyle(one).fill : getComputedStyle(one).color);
            return (Math.max(ink, page) + .05) / (Math.min(ink, page) + .05) < 4.5;
        }).map(one => one.className.baseVal ?? one.className);
    })()"""
    assert browser.run(unreadable) == []


@pytest.mark.parametrize(
    "given",
    [
        {"space": "before_after", "trials": 12},
        {"space": "balance", "trials": 16},
        {"space": "with_learning_rate", "trials": 12},
        {"trials": 1, "ended": "interrupted"},
        {"trials": 12, "ended": None},
    ],
)
def test_runs_of_every_kind_open_without_a_complaint(
    browser: Browser, tmp_path: Path, given: dict[str, object]
) -> None:
    run = write_run(tmp_path, **given)  # type: ignore[arg-type]
    write_report(read_run(run.path), ReportExtras())
    browser.open(url(run))
    assert browser.complaints() == []
    assert visible(browser)


def test_every_line_of_the_charts_lies_inside_its_chart(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder))
    assert len(visible(browser)) == TRIALS
    stray = """[...document.querySelectorAll(".drawing > svg")].flatMap(svg => {
        const area = svg.viewBox.baseVal;
        return [...svg.querySelectorAll("polyline, circle, rect, text")].filter(drawn => {
            if (!drawn.getClientRects().length || drawn.closest("[clip-path], clipPath")) return false;
            const box = drawn.getBBox();
            if (drawn.transform.baseVal.numberOfItems) return false;
            const right = box.x + box.width, bottom = box.y + box.height;
            return box.x < -1 || box.y < -1 || right > area.width + 1 || bottom > area.height + 1;
        }).map(drawn => svg.closest("figure").id + " " + drawn.outerHTML.slice(0, 120));
    })"""
    for tab in ("acting", "parameters", "all", "matters"):
        browser.open(url(folder, view=f"tab={tab}"))
        assert browser.run(stray) == []


def test_a_status_is_switched_off_by_keyboard_in_every_chart_and_table(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder))
    stopped = set(
        browser.run("[...document.querySelectorAll('tr[data-status=stopped]')].map(row => row.dataset.trial)")
    )
    assert stopped
    browser.run("document.querySelector('input[value=stopped]').focus()")
    browser.press(" ", code=SPACE, text=" ")
    assert not visible(browser) & stopped
    assert len(visible(browser)) == TRIALS - len(stopped)
    assert (
        browser.run("document.getElementById('shown').textContent")
        == f"{TRIALS - len(stopped)} of {TRIALS} trials shown"
    )
    seen = "[...document.querySelectorAll('[data-trial]:not([hidden])')].some(one => one.dataset.trial === %s)"
    assert not browser.run(seen % json.dumps(next(iter(stopped))))
    browser.run("document.querySelector('button[type=reset]').click()")
    browser.wait_for(f"document.getElementById('shown').textContent.startsWith('{TRIALS} of')")
    assert len(visible(browser)) == TRIALS


def test_the_best_and_a_word_can_be_picked_out_and_survive_a_reload(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder))
    choose = """(() => {
        const best = document.querySelector('select[name=best]');
        best.value = '5';
        best.dispatchEvent(new Event('input', {bubbles: true}));
    })()"""
    browser.run(choose)
    ranks = (
        "[...document.querySelectorAll('#trials-table tbody tr:not([hidden])')].map(row => Number(row.dataset.rank))"
    )
    assert sorted(browser.run(ranks)) == [1, 2, 3, 4, 5]
    browser.call("Page.reload")
    browser.wait_for(
        "document.readyState === 'complete' && document.querySelectorAll('#trials-table tr[hidden]').length > 0"
    )
    assert sorted(browser.run(ranks)) == [1, 2, 3, 4, 5]
    browser.open(url(folder, view="text=t0007"))
    assert visible(browser) == {"t0007"}
    browser.open(url(folder, view="best=nonsense&tab=nonsense&trial=nonsense&no-status=nonsense"))
    assert len(visible(browser)) == TRIALS


@pytest.mark.parametrize(("name", "forward"), [("report.html", "ArrowRight"), ("fa.html", "ArrowLeft")])
def test_tabs_move_by_arrow_keys_in_the_direction_of_the_page(
    browser: Browser, folder: RunFolder, name: str, forward: str
) -> None:
    browser.open(url(folder, name))
    shown = """[...document.querySelectorAll('[role=tabpanel]')]
        .filter(one => one.getClientRects().length).map(one => one.id)"""
    assert browser.run(shown) == ["panel-acting"]
    browser.run("document.getElementById('tab-acting').focus()")
    browser.press(forward)
    assert browser.run(shown) == ["panel-parameters"]
    assert browser.run("document.activeElement.id") == "tab-parameters"
    browser.press("End")
    assert browser.run(shown) == ["panel-matters"]
    browser.press(forward)
    assert browser.run(shown) == ["panel-acting"]
    tabbable = "[...document.querySelectorAll('[role=tab]')].filter(tab => tab.tabIndex === 0).length"
    assert browser.run(tabbable) == 1


def test_the_pointer_names_the_config_and_a_click_keeps_it_marked(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder))
    browser.run("document.getElementById('objective-by-epoch').scrollIntoView()")
    at = browser.run("""(() => {
        const line = document.querySelector('#objective-by-epoch g.trial.best polyline');
        const svg = line.ownerSVGElement, last = line.points[line.points.length - 1];
        const spot = new DOMPoint(last.x, last.y).matrixTransform(svg.getScreenCTM());
        return [spot.x, spot.y];
    })()""")
    browser.move_to(*at)
    browser.wait_for("!document.getElementById('tip').hidden")
    best = browser.run("document.querySelector('tr.best').dataset.trial")
    said = browser.run("document.getElementById('tip').textContent")
    assert said.startswith(f"{best} · mel_loss_weight ")
    assert "objective 0." in said
    browser.run(f"document.querySelector('tr[data-trial={best}] .pin').click()")
    marked = "[...document.querySelectorAll('g.trial.marked')].map(one => one.dataset.trial)"
    assert set(browser.run(marked)) == {best}
    assert browser.run(f"document.querySelector('tr[data-trial={best}] .pin').getAttribute('aria-pressed')") == "true"
    assert browser.complaints() == []


def test_a_column_sorts_as_numbers_and_leaves_the_empty_cells_last(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder))
    cells = "[...document.querySelectorAll('#trials-table tbody tr')].map(row => row.cells[%d].textContent)"
    column = browser.run(
        "[...document.querySelectorAll('#trials-table thead th')].findIndex(th => th.textContent === 'weighted loss')"
    )
    before = browser.run(cells % column)
    click = f"document.querySelectorAll('#trials-table thead th')[{column}].querySelector('button').click()"
    browser.run(click)
    found = browser.run(cells % column)
    numbers = [float(one) for one in found if one]
    assert numbers == sorted(numbers)
    assert found != before
    assert found[len(numbers) :] == [""] * (TRIALS - len(numbers))
    browser.run(click)
    assert [float(one) for one in browser.run(cells % column) if one] == numbers[::-1]


def test_the_persian_page_runs_from_right_to_left_and_its_numbers_do_not(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder, "fa.html"))
    left_of = "document.getElementById('%s').getBoundingClientRect().left"
    assert (
        browser.run(left_of % "card-which") > browser.run(left_of % "card-better") > browser.run(left_of % "card-sure")
    )
    assert browser.run("getComputedStyle(document.getElementById('answer-title')).direction") == "rtl"
    assert browser.run("getComputedStyle(document.querySelector('.drawing > svg')).direction") == "ltr"
    assert browser.run("getComputedStyle(document.querySelector('#card-next pre')).direction") == "ltr"
    signs_first = """(() => {
        const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const place = (node, at) => {
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + 1);
            return range.getBoundingClientRect();
        };
        const isLeft = (one, other) => one.left < other.left || one.top < other.top;  // or a line was broken there
        const found = [];
        for (let node; (node = words.nextNode());)
            for (const hit of node.data.matchAll(/[-+>≤](?=\\d)|\\d(?=×)/g))
                if (node.parentElement.getClientRects().length && !node.parentElement.closest("svg"))
                    found.push([node.data, isLeft(place(node, hit.index), place(node, hit.index + 1))]);
        return found;
    })()"""
    found = browser.run(signs_first)
    assert len(found) > TRIALS / 2
    assert [text for text, is_left in found if not is_left] == []


def test_print_shows_every_panel_and_nothing_to_click(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder), media="print", dark=True)
    shown = "[...document.querySelectorAll('%s')].filter(one => one.getClientRects().length).length"
    assert browser.run(shown % "[role=tabpanel]") == 4
    assert browser.run(shown % "nav, #filters, .tabs, audio") == 0
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_a_script_everything_is_still_there(browser: Browser, folder: RunFolder) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(url(folder))
        shown = "[...document.querySelectorAll('%s')].filter(one => one.getClientRects().length).length"
        assert browser.run(shown % "[role=tabpanel]") == 4
        assert browser.run(shown % "#filters, .tabs") == 0
        assert browser.run("document.querySelector('g.trial > title').textContent").startswith("t00")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_screen_reader_finds_names_for_charts_tables_and_controls(browser: Browser, folder: RunFolder) -> None:
    browser.open(url(folder))
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    browser.call("Accessibility.disable")
    named = (
        "image",
        "table",
        "checkbox",
        "combobox",
        "searchbox",
        "tab",
        "tabpanel",
        "button",
        "region",
        "navigation",
        "form",
    )
    kinds = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in named and not node.get("ignored"):
            kinds.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    assert {"image", "table", "checkbox", "tab", "button", "region", "navigation"} <= kinds.keys()
    assert [role for role, names in kinds.items() if not all(names)] == []
    levels = browser.run("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path, lang: str) -> None:
    run, given = hostile(tmp_path)
    write_report(read_run(run.path), given, lang)
    browser.open(url(run))
    assert browser.complaints() == []
    assert browser.run("window.pwned === undefined")
    assert browser.run("document.querySelectorAll('.pin').length") == 7
    browser.run("document.querySelectorAll('.pin').forEach(button => button.click())")
    assert browser.run("window.pwned === undefined")
    assert browser.complaints() == []


def test_a_running_page_reloads_itself_until_that_is_switched_off(browser: Browser, tmp_path: Path) -> None:
    run = write_run(tmp_path, ended=None)
    write_report(read_run(run.path))
    page = run.report.read_text()
    run.report.write_text(page.replace('data-seconds="30"', 'data-seconds="0.3"'))
    browser.open(url(run))
    browser.run("window.first = true")
    browser.wait_for("window.first === undefined && document.readyState === 'complete'")
    browser.run("document.getElementById('live').click()")
    browser.run("window.first = true")
    browser.run("new Promise(done => setTimeout(done, 1000))")
    assert browser.run("window.first === true")
    assert browser.run("location.hash") == "#view:live=off"


def test_confirmation_and_rivals_are_drawn_and_named_under_the_pointer(browser: Browser, tmp_path: Path) -> None:
    run = write_run(tmp_path, more_events=confirmation_events(BETTER, DEFAULT))
    write_report(read_run(run.path), extras())
    browser.open(url(run))
    assert browser.complaints() == []
    place = """(() => { const svg = document.querySelector('#pairs svg'); svg.scrollIntoView({block: 'center'});
        const box = svg.querySelector('g.trial[data-trial=c0003] .target').getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2]; })()"""
    browser.move_to(*browser.run(place))
    assert browser.run("document.getElementById('tip').textContent").startswith("c0003 finalist t0002")
    browser.run("document.querySelector('input[name=role][value=confirm]').click()")
    assert browser.run("document.querySelectorAll('#pairs g.trial:not([hidden])').length") == 0
    assert browser.run("document.querySelectorAll('#rivals tbody tr').length") == 4
