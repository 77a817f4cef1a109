"""What a user, or a node, may write to do harm: one corpus for every parser that reads it."""

from itertools import product

MEGABYTE = "x" * 1_000_000
ESCAPES = "\x1b[2J\x1b[1;31mroot\x1b[0m"
FULLWIDTH = "arn:aws:iam::１２３４５６７８９０１２:role/x"  # noqa: RUF001 (digits that are not ASCII's)

# No role, whatever the base.
ROLES = (
    "arn:",
    "arn::::::",
    "arn:aws:iam:123456789012:role/x",
    "arn:aws:iam::123456789012:role",
    "arn:aws:iam::123456789012:role/",
    "arn:aws:iam::123456789012:role//x",
    "arn:aws:iam::123456789012:role/a//x",
    "arn:aws:iam::123456789012:role/x/",
    "arn:aws:iam::123456789012:role/../x",
    "arn:aws:iam::123456789012:role/./x",
    "arn:aws:iam::123456789012:user/x",
    "arn:aws:sts::123456789012:assumed-role/x/y",
    "arn:aws:iam:eu-west-1:123456789012:role/x",
    "arn:aws:iam::12345678901:role/x",
    "arn:aws:iam::1234567890123:role/x",
    "arn:aws:iam::aws:role/x",
    "arn:AWS:iam::123456789012:role/x",
    "arn:nowhere:iam::123456789012:role/x",
    "arn:aws:iam::123456789012:role/x\n",
    "arn:aws:iam::123456789012:role/x y",
    "arn:aws:iam::123456789012:role/x*",
    "arn:aws:iam::123456789012:role/" + "x" * 65,
    "arn:aws:iam::123456789012:role/" + "p" * 511 + "/x",
    FULLWIDTH,
    "../admin",
    "..",
    ".",
    "a/../admin",
    "role/x\n",
    "\nx",
    "x\x00",
    "x\x7f",
    "é",
    "ｒeader",  # noqa: RUF001 (a letter that is not ASCII's)
    "//x",
    "a//b",
    "a/",
    "/",
    "a b",
    "a:b",
    "a\u2028b",
    "\ud800",
    '["a","b"]',
    '{"role":"x"}',
    "x|y",
    "$(id)",
    ESCAPES,
    MEGABYTE,
)

# Regular expressions that are none, that escape a wrapper, or that take for ever elsewhere.
INVALID_EXPRESSIONS = (
    "",
    "   ",
    "[",
    "(",
    ")",
    "a)|(?:.*",
    "(?<=a)b",
    r"(a)\1",
    "a{1001}",
    "(x{1000}){1000}",
    "(" * 10_000,
    "\ud800",
    MEGABYTE,
)
SLOW_EXPRESSIONS = ("(a+)+$", "(a|aa)+$", "(.*)*$", "(a*)*b", "((a+)+)+c", ".*.*.*.*.*.*x")

# Lists that permit nothing at all.
USELESS_LISTS = (
    "",
    " ",
    "null",
    "true",
    "7",
    '"reader"',
    '{"reader":1}',
    "[",
    "[]",
    '[""]',
    '["/"]',
    '["  "]',
    "[null]",
    "[1, true, {}, []]",
    "['reader']",
    "[" * 100_000,
    '["' + "\ud800" + '"]',
    '["\\ud800"]',
    "[" + ",".join(['"reader"'] * 1001) + "]",
    '["' + MEGABYTE + '"]',
    "reader",
)

EXTERNAL_IDS = ("x", "a b", "x\ny", "é", "x|y", ESCAPES, "x" * 1225, MEGABYTE, "\ud800", "'; --")
SESSION_NAMES = ("x", "x|y", "a b", "line\nbreak", ESCAPES, "{pod}", "é" * 40, "x" * 65, MEGABYTE)
TEXTS = tuple(dict.fromkeys((*ROLES, *INVALID_EXPRESSIONS, *USELESS_LISTS, *EXTERNAL_IDS)))

ANNOTATIONS = tuple(
    {f"iam.amazonaws.com/{key}": text}
    for key, text in product(
        ("role", "external-id", "session-name", "session-tag.team", "permitted", "allowed-roles"),
        TEXTS,
    )
)
