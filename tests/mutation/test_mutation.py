"""The mutants that the harness makes, and that it knows a live one from a dead one."""

from mutation.mutate import Mutant, everything, killed, mutants, sql_mutants

RULE = """-- at least $n, or > it
SELECT subject_id, CASE WHEN total >= 4 AND NOT open THEN 'met' ELSE 'not_met' END AS status,
       'a total of 4 > 3' AS compared
FROM t WHERE day BETWEEN 1 AND 2
"""
WORDS = """
SELECT CASE WHEN total IS NULL
            THEN 'the total is unknown' END AS reason,
       CAST(total AS DECIMAL(18, 9)) >= 7 AS high
"""


def changes(text: str) -> set[str]:
    return {shown.partition(" in: ")[0].partition(": ")[2] for _, shown, _ in sql_mutants(text)}


def test_comparisons_logic_numbers_and_answers_are_changed() -> None:
    assert {">= -> >", "AND -> OR", "NOT -> (nothing)", "4 -> 5", "'met' -> 'not_met'"} <= changes(RULE)


def test_comments_words_and_the_and_of_between_are_left_alone() -> None:
    lines = [shown.partition(":")[0] for _, shown, _ in sql_mutants(RULE)]
    assert "line 1" not in lines
    assert "line 3" not in lines
    assert sum("AND -> OR" in shown for _, shown, _ in sql_mutants(RULE)) == 1


def test_a_choice_of_words_and_the_width_of_a_decimal_are_left_alone() -> None:
    assert changes(WORDS) == {">= -> >", "7 -> 8", "7 -> 6"}


def test_every_mutant_differs_and_has_a_key_of_its_own() -> None:
    made = list(sql_mutants(RULE))
    assert len({key for key, _, _ in made}) == len(made)
    assert all(text != RULE for _, _, text in made)


def test_a_changed_threshold_is_noticed_and_no_change_is_not() -> None:
    page = "conduct/src/*/conduct.md"
    declaration = everything().offered["conduct"].declaration
    longer = next(m for m in mutants(declaration) if "washout_days: 7 -> 8" in m.shown)
    assert killed(longer, page)
    assert not killed(Mutant("same", "nothing changed", (declaration,)), page)
