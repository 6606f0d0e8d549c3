"""The first weeks on the ward: vital signs, vasopressors, neurology, CAR copies. Synthetic."""

from typing import TYPE_CHECKING, Any

from enfold.testing.demo.courses import SHOCK, SLOWED

if TYPE_CHECKING:
    from enfold.testing.demo.generate import Rows

ICE = (("ORIENT", 4), ("NAMING", 3), ("COMMAND", 1), ("WRITING", 1), ("ATTENTION", 1))
SAMPLES = (0, 3, 7, 10, 14, 21, 28, 56, 84)
SHAPE = (0, 2, 55, 100, 62, 18, 6, 2, 1)  # per cent of the peak


def bedside(rows: "Rows", *, fever: bool) -> None:
    """Add the ward's records of days 0 to 14, and the kinetics."""
    p = rows.patient
    first = 1 + p.pick("fever starts", 4)
    last = first + 1 + p.pick("fever lasts", 3)
    for day in range(15):
        for hour in ("06:00", "14:00", "22:00"):
            if day == 0 and hour == "06:00":
                continue
            hot = fever and first <= day <= last
            _vitals(rows, day, hour, hot=hot)
        _neurology(rows, day)
    if p.index == SHOCK:
        rows.add(
            "medication", "pressor", f"{p.day(first + 1)}T08:00", substance="noradrenaline", drug_class="vasopressor",
            dose="0.1", unit="ug/kg/min", frequency="continuous", route="intravenous", role="toxicity_treatment",
            indication="crs", ended=f"{p.day(first + 2)}T20:00",
        )  # fmt: skip
        rows.add(
            "medication", "tocilizumab", f"{p.day(first + 1)}T09:00", substance="tocilizumab", drug_class="anti_il6",
            dose="320", unit="mg", frequency="once", route="intravenous", role="toxicity_treatment", indication="crs",
        )  # fmt: skip
        for n in range(3):
            rows.add(
                "medication", f"dexamethasone/{n}", p.day(first + 2 + n).isoformat(), substance="dexamethasone",
                drug_class="glucocorticoid", dose="8", unit="mg", frequency="twice_daily", route="intravenous",
                role="toxicity_treatment", indication="icans", ended=p.day(first + 2 + n).isoformat(),
            )  # fmt: skip
    _kinetics(rows)


def _vitals(rows: "Rows", day: int, hour: str, *, hot: bool) -> None:
    p = rows.patient
    when = f"{p.day(day)}T{hour}"
    form = f"vitals/{day}/{hour}"
    shock = p.index == SHOCK and hot
    tenths = 381 + p.pick(form, 18) if hot else 363 + p.pick(form, 12)

    def sign(item: str, **value: Any) -> None:
        rows.item(form, when, "VITAL_SIGNS", item, **value)

    sign("TEMP", value_number=f"{tenths // 10}.{tenths % 10}", unit="Cel")
    sign("SYSBP", value_number=str(78 if shock else 98 + p.pick(form + "bp", 20)), unit="mm[Hg]")
    sign("HYPOTENSION", value_code="present" if shock else "none")
    sign("SPO2", value_number=str(91 if shock else 97), unit="%")
    sign("O2DEVICE", value_code="nasal_cannula" if shock else "room_air")
    if shock:
        sign("O2FLOW", value_number="2", unit="L/min")


def _neurology(rows: "Rows", day: int) -> None:
    p = rows.patient
    when = f"{p.day(day)}T{'12' if day == 0 else '09'}:00"
    form = f"neuro/{day}"
    slowed = p.index in SLOWED and day in {5, 6}
    coma = p.index == SHOCK and day == 6
    if p.age >= 12 and p.index != 11:
        for item, best in ICE:
            lost = 1 if slowed and item in {"ATTENTION", "WRITING"} else best if coma else 0
            rows.item(f"{form}/ice", when, "ICE", item, value_number=str(best - lost))
    elif not coma:
        for n in range(1, 9):
            rows.item(f"{form}/capd", when, "CAPD", f"CAPD0{n}", value_number=str(1 if slowed and n < 6 else 0))
    else:
        rows.item(f"{form}/capd", when, "CAPD", "CAPD_UNABLE", value_code="yes")
    arousal = "unarousable" if coma else "spontaneous" if slowed else "normal"
    rows.item(f"{form}/signs", when, "ICANS_SIGNS", "AROUSAL", value_code=arousal)
    for item in ("SEIZURE", "MOTOR", "OEDEMA"):
        rows.item(f"{form}/signs", when, "ICANS_SIGNS", item, value_code="none")


def _kinetics(rows: "Rows") -> None:
    p = rows.patient
    peak = 4000 + 1000 * p.pick("peak", 90)
    for day, share in zip(SAMPLES, SHAPE, strict=True):
        if day > p.follow_up:
            continue
        copies = peak * share // 100
        below = {"comparator": "<"} if copies < 50 else {}
        rows.item(f"car/{day}", p.day(day).isoformat(), "CELL_KINETICS", "CAR_COPIES",
                  value_number=str(max(copies, 50)), unit="copies/ug", **below)  # fmt: skip
        cells = 180 if day == 0 else 0 if day < 84 else 4 + p.pick("b cells", 60)
        rows.item(f"car/{day}", p.day(day).isoformat(), "CELL_KINETICS", "BCELL", value_number=str(cells), unit="/uL")
