"""The warden's routing rules: what is missing is made, what is ours and not wanted goes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.warden.rig import settings
from rolecall_warden import routing
from rolecall_warden.routing import Family, UnreadableError

# As iproute2 6.1 writes it, on a node with the rules of the AWS VPC CNI for strict security groups.
OTHERS = [
    {"priority": 10, "src": "all", "iif": "vlan1a2b", "table": "101"},
    {"priority": 20, "src": "all", "table": "local"},
    {"priority": 512, "src": "all", "dst": "10.0.0.7", "table": "main"},
    {"priority": 32766, "src": "all", "table": "main"},
]
OURS = [
    {
        "priority": 5,
        "src": "all",
        "dst": "169.254.169.254",
        "iif": "lo",
        "goto": 7,
        "protocol": "183",
    },
    {
        "priority": 6,
        "src": "all",
        "dst": "169.254.169.254",
        "action": "prohibit",
        "protocol": "183",
    },
    {"priority": 7, "src": "all", "nop": None, "protocol": "183"},
]


def lines(found: list[dict[str, object]]) -> list[str]:
    wanted = routing.wanted_rules(settings(), Family.IPV4)
    return list(routing.changes(wanted, routing.parse_rules(json.dumps(found))))


def test_rules_in_place_are_left_alone() -> None:
    """Nothing to do, whatever others have."""
    assert lines([*OURS, *OTHERS]) == []


def test_missing_rules_are_made_and_the_guard_last() -> None:
    """The host is never without its own way."""
    assert lines([{}, *OTHERS]) == [
        "rule add pref 7 nop protocol 183",
        "rule add pref 5 to 169.254.169.254 iif lo goto 7 protocol 183",
        "rule add pref 6 to 169.254.169.254 prohibit protocol 183",
    ]


def test_each_missing_rule_is_made_alone() -> None:
    """A goto without its goal is shown as unresolved, and is still the one that is wanted."""
    unresolved = {**OURS[0], "unresolved": None}

    assert lines([OURS[0], OURS[2], *OTHERS]) == [
        "rule add pref 6 to 169.254.169.254 prohibit protocol 183"
    ]
    assert lines([unresolved, OURS[1], *OTHERS]) == ["rule add pref 7 nop protocol 183"]


def test_an_old_rule_of_ours_goes_and_others_stay() -> None:
    """After a change of the priority the old three are removed; the new ones are there before."""
    moved = [{**rule, "priority": int(str(rule["priority"])) + 40} for rule in OURS]
    changed = lines([*moved, *OTHERS])

    assert [line.split()[1] for line in changed] == ["add"] * 3 + ["del"] * 3
    assert "rule del pref 46 prohibit protocol 183" in changed


def test_what_was_changed_is_made_anew() -> None:
    """A rule of ours that looks elsewhere is no guard."""
    strange = {**OURS[1], "action": "lookup", "table": "main"}

    assert lines([OURS[0], strange, OURS[2]]) == [
        "rule add pref 6 to 169.254.169.254 prohibit protocol 183",
        "rule del pref 6 protocol 183",
    ]


def test_while_another_warden_has_the_rules_its_guard_is_kept_where_it_is() -> None:
    """With another priority than ours, or two wardens would each undo what the other does."""
    moved = [{**rule, "priority": int(str(rule["priority"])) + 40} for rule in OURS]
    moved[0]["goto"] = 47
    for there, lacking in (
        (moved, []),
        ([moved[1]], [47, 45]),
        ([moved[0], moved[2]], [7, 5, 6]),  # The guard is what must not be missing.
        (OTHERS, [7, 5, 6]),
    ):
        found = routing.parse_rules(json.dumps(there))
        wanted = routing.others_rules(settings(), Family.IPV4, found)
        lines = list(routing.additions(wanted, found))
        assert [line.split()[:4] for line in lines] == [
            ["rule", "add", "pref", str(each)] for each in lacking
        ]


def test_removal_takes_only_ours_and_the_guard_first() -> None:
    """The host keeps its way until the guard is gone."""
    found = routing.parse_rules(json.dumps([*OURS, *OTHERS]))

    assert list(routing.removal(found)) == [
        "rule del pref 6 prohibit protocol 183",
        "rule del pref 5 goto 7 protocol 183",
        "rule del pref 7 nop protocol 183",
    ]


def test_addresses_are_read_of_all_links() -> None:
    """Both families, without what is not an address."""
    text = json.dumps(
        [
            {"addr_info": [{"local": "127.0.0.1"}, {"local": "fd00::1"}, {"local": "no"}, {}]},
            {},
            {"addr_info": 7},
        ]
    )

    assert {str(each) for each in routing.parse_addresses(text)} == {"127.0.0.1", "fd00::1"}


@pytest.mark.parametrize("text", ["{}", "7", "no json", "[" * 100_000])
def test_what_is_no_list_is_refused_by_name(text: str) -> None:
    """An answer that cannot be understood is an error that says so."""
    with pytest.raises(UnreadableError):
        routing.parse_rules(text)
    with pytest.raises(UnreadableError):
        routing.parse_addresses(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(OURS[0])), inner),
    max_leaves=6,
)


@given(_JSON)
def test_whatever_a_list_holds_it_is_read(entry: object) -> None:
    """No entry of any shape raises."""
    text = json.dumps([entry])

    assert len(routing.parse_rules(text)) <= 1
    assert routing.parse_addresses(text) == frozenset()
