"""The figures as a picture."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")

from competitors import BASE, GROUPS, MESSAGES, is_ours  # noqa: E402
from figures import Figures  # noqa: E402
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

OURS, OTHERS, MARK = "#0b6e99", "#b8c0c7", "#c43e1c"
# Lines do not go through the numbers.
LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
TITLES = {"rtt": "round trip, 64 B"}
# Text stays text, and the same figures give the same file.
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ferrule",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
ROW_INCHES, EXTRA_INCHES, WIDTH_INCHES = 0.24, 0.75, 13.0


def _panel(axes: Axes, figures: Figures, group: str, measurement: str, names: list[str]) -> None:
    """One measurement of one group: a bar for each competitor, on a logarithmic scale around the base."""
    ratios = [figures.ratio(name, measurement) if figures.has(name, measurement) else None for name in names]
    rows = range(len(names))
    known = [(row, ratio) for row, ratio in zip(rows, ratios) if ratio is not None]
    least = min([ratio for _, ratio in known] + [1.0]) / 1.6
    most = max(
        [ratio for _, ratio in known] + [target.ratio for target, _ in figures.targets(group, measurement)]
    )
    axes.barh(
        [row for row, _ in known],
        [ratio - least for _, ratio in known],
        left=least,
        height=0.72,
        color=[OURS if is_ours(names[row]) else OTHERS for row, _ in known],
    )
    for row, ratio in known:
        axes.text(
            ratio * 1.04, row, f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}", va="center", bbox=LABEL
        )
    axes.set_xscale("log")
    axes.set_xlim(least, most * 2.6)
    axes.axvline(1, color="black", linewidth=0.8)
    for target, _ in figures.targets(group, measurement):
        axes.axvline(target.ratio, color=MARK, linewidth=0.9, linestyle=(0, (3, 2)))
    axes.set_yticks(list(rows), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.minorticks_off()
    axes.spines["bottom"].set_visible(False)


def draw(figures: Figures, path: Path) -> None:
    """One row of panels for each group, one column for each measurement of messages."""
    shown = [name for name in MESSAGES if figures.has(BASE, name)]
    groups = {
        group: [one.name for one in figures.competitors(group) if one.name != BASE]
        for group in GROUPS
        if figures.measurements(group)
    }
    if not shown or not groups:
        raise ValueError("nothing was measured that could be drawn")
    heights = [len(names) * ROW_INCHES + EXTRA_INCHES for names in groups.values()]
    with pyplot.rc_context(SETTINGS):
        figure, panels = pyplot.subplots(
            len(groups),
            len(shown),
            squeeze=False,
            figsize=(WIDTH_INCHES, sum(heights)),
            gridspec_kw={"height_ratios": heights},
            layout="constrained",
        )
        for line, (group, names) in zip(panels, groups.items()):
            for axes, measurement in zip(line, shown):
                _panel(axes, figures, group, measurement, names)
                axes.set_title(TITLES.get(measurement, f"stream, {measurement}"), fontsize=9)
                if axes is not line[0]:
                    axes.set_yticklabels([])
            line[0].set_ylabel(GROUPS[group], fontsize=11, fontweight="bold")
        figure.supxlabel(
            f"messages a second, × {BASE} in the same run (line at 1; logarithmic). Dashed: to reach",
            fontsize=9,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
