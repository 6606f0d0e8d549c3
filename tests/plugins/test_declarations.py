"""What the shipped plugins declare holds: columns exist, parameters are used, ids are unique."""

import re

import pytest
from test_examples import found

from enfold import schema
from enfold.contract import Declaration, SqlRule

ALL = [o.declaration for o in found().offered.values()]


def test_ids_are_unique() -> None:
    assert len({d.id for d in ALL}) == len(ALL)


@pytest.mark.parametrize("declaration", ALL, ids=lambda d: d.id)
def test_reads_exist_and_every_parameter_is_used(declaration: Declaration) -> None:
    for table, columns in declaration.reads.items():
        assert set(columns) <= set(schema.state()[table].names), table
    assert isinstance(declaration.rule, SqlRule)
    code = "\n".join(line.partition("--")[0] for line in declaration.rule.text.splitlines())
    assert set(re.findall(r"\$([a-z_0-9]+)", code)) == set(vars(declaration.parameters))
    assert set(declaration.needs) <= {d.id for d in ALL}
    assert declaration.citation
    assert declaration.version
