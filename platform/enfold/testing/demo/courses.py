"""The 22 synthetic courses: what happens to whom. Everything is synthetic."""

import datetime as dt
import hashlib
from dataclasses import dataclass

CUTOFF = dt.date(2025, 6, 30)
VISITS = {"BL": -7, "W4": 28, "W8": 56, "W12": 84, "W24": 168, "W36": 252, "W52": 364}
FOLLOW_UP = (
    94, 101, 112, 120, 133, 140, 152, 160, 171, 183, 194,
    196, 205, 214, 228, 240, 255, 270, 295, 330, 365, 399,
)  # fmt: skip
# what keeps the disease from, or brings it to, its targets
KINDS = (
    "quiet", "renal", "steroid", "stubborn", "quiet", "global", "rash", "unasked", "quiet", "unreviewed",
    "shifting", "new_organ", "rash", "joints", "rescued", "rash_flare", "quiet_retreated", "restarted",
    "quiet_flare", "absent", "quiet", "quiet",
)  # fmt: skip
NO_FEVER = {2, 13}
SHOCK = 17  # the one severe course
SLOWED = {4, 10, 19}  # mild neurotoxicity
ACTIVE = ("ARTHR", "PROT", "HEMAT", "RASH", "ALOP", "LOWC", "DNA")


@dataclass(frozen=True)
class Patient:
    """One synthetic child."""

    index: int
    id: str
    kind: str
    infusion: dt.date
    follow_up: int
    age: int
    dose: str
    conditioning: str
    weight: int

    def day(self, day: int) -> dt.date:
        """Return the date of a day, infusion = 0."""
        return self.infusion + dt.timedelta(days=day)

    def pick(self, label: str, n: int) -> int:
        """Return a number below `n` that depends on the patient and the label only."""
        digest = hashlib.sha256(f"{self.index}/{label}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % n

    def visit_day(self, visit: str) -> int:
        """Return the day on which the visit was held: near its target."""
        day = VISITS[visit]
        return day if day < 0 else min(day + self.pick(f"shift {visit}", 5) - 2, self.follow_up)

    @property
    def visits(self) -> list[str]:
        """Visits that fell due."""
        return [v for v, d in VISITS.items() if d <= self.follow_up]

    def missed(self, visit: str) -> bool:
        """Return whether a visit was missed."""
        return (self.kind == "absent" and visit in {"W8", "W24"}) or (self.index in {1, 13} and visit == "W8")


def patients() -> list[Patient]:
    """Return the 22 patients in order of follow-up."""
    out = []
    for i, (days, kind) in enumerate(zip(FOLLOW_UP, KINDS, strict=True)):
        place, ld = i * 5 % 22, i * 9 % 22
        out.append(
            Patient(
                index=i,
                id=f"DEMO-{i * 7 % 22 + 1:03d}",
                kind=kind,
                infusion=CUTOFF - dt.timedelta(days=days),
                follow_up=days,
                age=8 + i * 3 % 10,
                dose="0.3" if place < 6 else "1" if place < 18 else "3",
                conditioning="full" if ld < 8 else "2/3" if ld < 10 else "1/2" if ld < 12 else "1/3",
                weight=24 + 3 * (i * 3 % 10),
            )
        )
    return sorted(out, key=lambda p: p.id)


def active_items(p: Patient, visit: str) -> set[str]:
    """Return the SLEDAI-2K items that are present and due to lupus at a visit."""
    if visit == "BL":
        return {*ACTIVE, *({"ULCER"} if p.index % 3 == 0 else set())}
    early = {"W4": {"ARTHR", "RASH", "LOWC", "DNA"}, "W8": {"RASH", "LOWC", "DNA"}}
    late: dict[str, set[str]] = {
        "quiet": {"DNA"} if p.index % 2 else set(),
        "quiet_retreated": {"DNA"},
        "quiet_flare": {"ARTHR", "RASH", "DNA"} if visit in {"W36", "W52"} else {"DNA"},
        "rash": {"RASH"},
        "rash_flare": {"RASH", "ARTHR", "PROT", "DNA"} if visit in {"W24", "W36"} else {"RASH"},
        "renal": {"PROT", "DNA"},
        "steroid": {"RASH"},
        "global": {"RASH", "DNA"},
        "unasked": {"RASH"},
        "unreviewed": {"RASH"},
        "shifting": {"W12": {"RASH", "ULCER"}}.get(visit, {"RASH", "ALOP"}),
        "joints": {"ARTHR", "LOWC"},
        "restarted": {"PROT", "DNA"},
        "absent": {"PROT"},
        "stubborn": {"PROT", "HEMAT", "ARTHR", "RASH", "ALOP", "LOWC", "ULCER"},
        "new_organ": {"RASH", "DNA"},
        "rescued": {"PROT", "DNA"},
    }
    if p.kind == "stubborn":
        return {*ACTIVE, "ULCER"} - {"ALOP"} if visit in early else late["stubborn"]
    return early.get(visit, late[p.kind]) | ({"PROT"} if p.kind in {"renal", "restarted"} else set())


def bilag(p: Patient, visit: str) -> dict[str, str]:
    """Return the nine BILAG-2004 grades at a visit."""
    grades = dict.fromkeys(("CONST", "NEURO", "CARDIO", "GI", "OPHTH"), "E")
    items = active_items(p, visit)
    if visit == "BL":
        return {**grades, "MUCO": "B", "MSK": "B", "RENAL": "A", "HAEM": "C"}
    grades |= {
        "MUCO": "C" if items & {"RASH", "ALOP", "ULCER"} else "D",
        "MSK": "B" if "ARTHR" in items else "D",
        "RENAL": "B" if items & {"PROT", "HEMAT"} else "D",
        "HAEM": "D",
    }
    if p.kind == "new_organ":  # arthritis settles, serositis begins
        grades["CARDIO"] = "A" if visit in {"W4", "W12"} else "B"
        if visit != "W4":
            grades["GI"] = "B" if visit == "W8" else "D"
    return grades


def pga_hundredths(p: Patient, visit: str) -> int:
    """Return the physician global assessment on 0 to 3, in hundredths."""
    if visit == "BL":
        return 190 + p.pick("pga", 60)
    if p.kind == "stubborn":
        return 200 + p.pick(f"pga {visit}", 20)
    if p.kind == "new_organ" and visit not in {"W4", "W8", "W12"}:
        return 280 + p.pick("pga late", 20)  # worse than at baseline
    if visit in {"W4", "W8"}:
        return 120 + p.pick(f"pga {visit}", 20)
    if p.kind == "global":
        return 125
    if p.kind in {"quiet_flare", "rash_flare"} and len(active_items(p, visit)) > 1:
        return 110
    return {"rash": 60, "quiet": 20, "quiet_flare": 20, "quiet_retreated": 25}.get(p.kind, 80)
