"""What was measured, what follows from it, and the file that keeps it."""

import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from competitors import BASE, COMPETITORS, MEASUREMENTS, TARGETS, Competitor, Measurement, Target
from scale import Cost, Large, Memory

# (competitor, measurement) -> rate of each round, a second
Rates = dict[tuple[str, str], list[float]]


@dataclass
class Figures:
    """One run of the benchmark."""

    machine: dict[str, Any]
    rounds: int
    seconds: float
    rates: Rates = field(default_factory=dict)
    idle: list[Memory] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    large: list[Large] = field(default_factory=list)

    def has(self, competitor: str, measurement: str) -> bool:
        return (competitor, measurement) in self.rates

    def ratios(self, competitor: str, measurement: str) -> list[float]:
        """Of each round: the competitor to the base."""
        pairs = zip(self.rates[competitor, measurement], self.rates[BASE, measurement])
        return [rate / base for rate, base in pairs]

    def ratio(self, competitor: str, measurement: str) -> float:
        return statistics.median(self.ratios(competitor, measurement))

    def base(self, measurement: str) -> float:
        return statistics.median(self.rates[BASE, measurement])

    def measurements(self, group: str) -> list[Measurement]:
        """Those at which somebody of a group other than the base was measured."""
        names = {one.name for one in self.competitors(group) if one.name != BASE}
        return [one for one in MEASUREMENTS if any(self.has(name, one.name) for name in names)]

    def competitors(self, group: str) -> list[Competitor]:
        """Those of a group that were measured, and the base first."""
        measured = {competitor for competitor, _ in self.rates}
        return [
            one for one in COMPETITORS if one.name in measured and (one.group == group or one.name == BASE)
        ]

    def targets(self, group: str, measurement: str) -> list[tuple[Target, float]]:
        """The targets of a measurement, each with the best ratio of those that may reach it."""
        found = []
        for target in TARGETS:
            if (target.group, target.measurement) == (group, measurement):
                reached = [
                    self.ratio(name, measurement)
                    for name in target.competitors
                    if self.has(name, measurement)
                ]
                if reached:
                    found.append((target, max(reached)))
        return found

    def save(self, path: Path) -> None:
        """Everything that was measured, in absolute figures."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = asdict(self)
        content["rates"] = [
            {"competitor": competitor, "measurement": measurement, "rounds": found}
            for (competitor, measurement), found in self.rates.items()
        ]
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> Figures:
    content = json.loads(path.read_text(encoding="utf-8"))
    content["rates"] = {(one["competitor"], one["measurement"]): one["rounds"] for one in content["rates"]}
    for name, kind in (("idle", Memory), ("costs", Cost), ("large", Large)):
        content[name] = [kind(**one) for one in content[name]]
    return Figures(**content)


def _processor() -> Optional[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def _node() -> Optional[str]:
    try:
        return subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "processor": _processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "node": _node(),
    }
