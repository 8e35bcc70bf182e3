"""Where good configs lie: over the coordinates that act, over each parameter, all at once, and what matters."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.report.charts.bars import importance_chart
from sweeps.report.charts.parallel import parallel_chart
from sweeps.report.charts.slices import plane_chart, slice_chart
from sweeps.report.coordinates import Axis
from sweeps.report.data import RunData
from sweeps.report.html import Html, tag
from sweeps.report.importance import FEWEST_TRIALS
from sweeps.report.words import Words


def landscape(data: RunData, words: Words) -> Html:
    """Four tabs; without a script and in print they stand below each other."""
    panels: list[tuple[str, str, list[Html | None]]] = [
        ("acting", words("tab_acting"), _acting(data, words)),
        ("parameters", words("tab_parameters"), _slices(data, words, data.searched, "parameter")),
        ("all", words("tab_all"), [parallel_chart(data, words)]),
        ("matters", words("tab_matters"), _matters(data, words)),
    ]
    shown = [(name, title, found) for name, title, charts in panels if (found := [one for one in charts if one])]
    if not shown:
        return tag(
            "section",
            tag("h2", words("landscape"), id="landscape-title"),
            tag("p", words("landscape_later")),
            id="landscape",
            aria_labelledby="landscape-title",
        )
    return tag(
        "section",
        tag("h2", words("landscape"), id="landscape-title"),
        tag(
            "div",
            (
                tag(
                    "button",
                    title,
                    type="button",
                    role="tab",
                    id=f"tab-{name}",
                    aria_controls=f"panel-{name}",
                    aria_selected="true" if place == 0 else "false",
                    tabindex="0" if place == 0 else "-1",
                )
                for place, (name, title, _) in enumerate(shown)
            ),
            role="tablist",
            aria_labelledby="landscape-title",
            class_="tabs needs-script",
        ),
        (
            tag(
                "div",
                tag("h3", title, class_="panel-title"),
                tag("div", charts, class_="charts"),
                role="tabpanel",
                id=f"panel-{name}",
                aria_labelledby=f"tab-{name}",
            )
            for name, title, charts in shown
        ),
        id="landscape",
        aria_labelledby="landscape-title",
    )


def _acting(data: RunData, words: Words) -> list[Html | None]:
    charts = list(_slices(data, words, data.acting, "acting"))
    if len(data.acting) >= 2:
        charts.append(plane_chart(data, words, data.acting[0], data.acting[1]))
    return charts


def _slices(data: RunData, words: Words, axes: Sequence[Axis], prefix: str) -> list[Html | None]:
    return [slice_chart(data, words, axis, f"{prefix}-{place}") for place, axis in enumerate(axes)]


def _matters(data: RunData, words: Words) -> list[Html | None]:
    if data.request.space.controls:
        return []  # configs that somebody listed are no sample of anything
    if data.importances and data.comparison is not None:
        return [importance_chart(words, data.importances, data.comparison)]
    compared = 0 if data.comparison is None else len(data.comparison.costs)
    return [tag("p", words("too_few_for_importance", trials=compared, needed=FEWEST_TRIALS))]
