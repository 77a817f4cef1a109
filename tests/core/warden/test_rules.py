"""The warden's packet rules: text that follows from the settings, and nothing else."""

import re

import pytest

from core.warden.rig import GOLDEN, settings
from rolecall_common.settings.declare import SettingsError
from rolecall_common.settings.types import Raw
from rolecall_warden import app, rules, table_comments
from rolecall_warden.ownership import Ownership, compare
from rolecall_warden.table_comments import TableComments

CASES: dict[str, dict[str, Raw]] = {
    "default": {},
    "ipv4": {"redirect": "ipv4", "generation": "7"},
    "ipv6": {"redirect": "ipv6", "endpoint_ipv6": "fd12::7", "endpoint_port": "8080"},
    "capped": {
        "connections_per_source": "3",
        "connection_rate_per_source": "7",
        "endpoint_ipv4": "169.254.77.1",
        "more_addresses": "169.254.170.23,fd00:ec2::23",
    },
}


@pytest.mark.parametrize("case", CASES)
def test_the_preview_is_the_golden_one(case: str) -> None:
    """Every rule that a warden makes is shown; edit the golden file when one changes on purpose."""
    assert app.preview(settings(**CASES[case])) == (GOLDEN / f"warden-{case}.txt").read_text()


def test_the_guards_alone_are_all_but_the_redirect() -> None:
    """What an uninstallation passes through has the same chains, less one."""
    whole = rules.shape(rules.render(settings()).text)
    guards = rules.shape(rules.render(settings(), redirect=False).text)

    assert whole.pop("to_endpoint") == 3
    assert guards == whole


@pytest.mark.parametrize("case", CASES)
def test_no_rule_names_a_link_of_a_pod(case: str) -> None:
    """A wrong prefix of a CNI can open nothing: the loopback link is the only one that is named."""
    text = rules.render(settings(**CASES[case])).text
    words = re.sub(r"saddr \. iif oif \w+", "", text).split()
    named = {words[i + 1] for i, word in enumerate(words) if word.startswith(("iif", "oif"))}

    assert named <= {'"lo"', "!="}


@pytest.mark.parametrize("case", CASES)
def test_both_addresses_are_guarded_whichever_is_redirected(case: str) -> None:
    """What is not redirected is dropped, in either family."""
    text = rules.render(settings(**CASES[case])).text

    for to in ("4 ip daddr 169.254.169.254", "6 ip6 daddr fd00:ec2::254"):
        family, _, address = to.partition(" ")
        assert f"\t{address} counter name dropped_forwarded{family} drop" in text


def test_what_is_not_led_to_the_agent_is_counted_where_it_comes_in() -> None:
    """The routing rules end it before any other chain could: a pod that tries is seen here."""
    for redirect, accepting in (("both", {"ip", "ip6"}), ("ipv4", {"ip"}), ("ipv6", {"ip6"})):
        text = rules.render(settings(redirect=redirect)).text
        chain = text.partition("chain origin {")[2].partition("}")[0]
        lines = [line.strip() for line in chain.splitlines()]
        for ip, family, address in (("ip", 4, "169.254.169.254"), ("ip6", 6, "fd00:ec2::254")):
            of_family = [each for each in lines if each.startswith(f"{ip} daddr {address} ")]
            counted = f"counter name dropped_other_ports{family}"
            assert of_family[-1] == f"{ip} daddr {address} {counted}"
            led = f"{ip} daddr {address} tcp dport 80 jump metadata{family}" in of_family
            assert led is (ip in accepting)


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_an_endpoint_has_its_rate_before_any_redirect(case: str) -> None:
    """Who opens connections too fast is stopped before conntrack keeps any of them."""
    text = rules.render(settings(**CASES[case])).text
    rate = settings(**CASES[case]).redirecting.connection_rate_per_source
    for jump in re.findall(r"jump ((?:metadata|container)[46])\n", text):
        first = text.partition(f"chain {jump} {{\n")[2].lstrip().partition("\n")[0]
        assert first.startswith("ct state new update @rates")
        assert f"limit rate over {rate}/second burst {3 * rate} packets" in first
        assert first.endswith(f"counter name dropped_rate{jump[-1]} drop")
    assert text.index("hook prerouting priority mangle - 5") < text.index("priority dstnat - 5")


def test_the_mark_is_read_back_as_it_was_written() -> None:
    """A table says of which generation it is, and of which contents."""
    ruleset = rules.render(settings(generation="12"))

    assert table_comments.parse(ruleset.text) == ruleset.comments
    assert ruleset.comments.generation == 12
    assert ruleset.comments.digest != rules.render(settings(endpoint_port="1")).comments.digest
    named = settings(generation="12", installation="n" * 63 + "/" + "r" * 53)
    held = rules.render(named, holder="0123456789abcdef")
    assert table_comments.parse(held.text) == held.comments
    assert held.comments.digest == ruleset.comments.digest
    assert held.comments.installation == named.keeping.installation
    assert held.comments.holder == "0123456789abcdef"


@pytest.mark.parametrize("text", ["", "table inet rolecall {\n}", '"rolecall generation=x"'])
def test_a_table_without_a_mark_has_none(text: str) -> None:
    """Whatever a listing holds, there is no error."""
    assert table_comments.parse(text) is None


MINE = TableComments(5, "a" * 16)


def listing(generation: int, digest: str) -> str:
    comments = TableComments(generation, digest)
    return f'table inet rolecall {{ chain about {{ return comment "{comments}" }} }}'


@pytest.mark.parametrize(
    ("there", "expected", "ownership"),
    [
        (None, None, Ownership.MISSING),
        (None, "as put", Ownership.MISSING),
        ("as put", "as put", Ownership.IN_PLACE),
        ("no mark", "as put", Ownership.MISSING),
        ("no mark", None, Ownership.MISSING),
        (listing(4, "b" * 16), None, Ownership.MISSING),
        (listing(4, "b" * 16), "as put", Ownership.MISSING),
        (listing(6, "b" * 16), None, Ownership.OTHERS),
        (listing(6, "b" * 16), "as put", Ownership.OTHERS),
        # At its start a warden takes its own generation over, with other settings or the same.
        (listing(5, "b" * 16), None, Ownership.MISSING),
        (listing(5, "a" * 16), None, Ownership.MISSING),
        # Later it repairs its own, and leaves what somebody has put there after it.
        (listing(5, "a" * 16), "as put", Ownership.MISSING),
        (listing(5, "b" * 16), "as put", Ownership.OTHERS),
    ],
)
def test_a_newer_table_is_left_alone_and_any_other_is_repaired(
    there: str | None, expected: str | None, ownership: Ownership
) -> None:
    """The generation decides, and among equals whoever came later."""
    assert compare(there, MINE, expected) is ownership


@pytest.mark.parametrize("generation", [4, 5, 6])
def test_a_table_whose_warden_is_gone_is_anybodys(generation: int) -> None:
    """Whatever its generation, and also after this warden has been superseded by it."""
    for expected in (None, "as put"):
        there = listing(generation, "b" * 16)
        assert compare(there, MINE, expected, gone=True) is Ownership.MISSING
    assert compare("as put", MINE, "as put", gone=True) is Ownership.IN_PLACE


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("endpoint_ipv4", "10.0.0.1"),
        ("endpoint_ipv4", "169.254.169.254"),
        ("endpoint_ipv4", "169.254.170.23"),
        ("endpoint_ipv4", "fd00::1"),
        ("endpoint_ipv6", "fe80::1"),
        ("endpoint_ipv6", "fd00:ec2::254"),
        ("endpoint_ipv6", "2001:db8::1"),
        ("connections_per_source", "0"),
        ("generation", "-1"),
        ("check_period", "0s"),
        ("redirect", "none"),
    ],
)
def test_a_setting_that_would_open_something_is_refused(setting: str, value: str) -> None:
    """An address of others, or one that others could reach, is no endpoint."""
    with pytest.raises(SettingsError) as caught:
        settings(**{setting: value})

    (problem,) = caught.value.problems
    assert value in str(problem)
