"""What reads what others send or write, and the property that it raises nothing unforeseen.

A module counts as one that reads if it imports what text and bytes are read with. A new one has no
place in the table below, and the test fails until it has: by a property, or by a reason why not.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = {
    "rolecall_agent": ROOT / "agent/rolecall_agent",
    "rolecall_warden": ROOT / "agent/rolecall_warden",
    "rolecall_common": ROOT / "common/rolecall_common",
    "rolecall_proto": ROOT / "proto/rolecall_proto",
    "rolecall_server": ROOT / "server/rolecall_server",
}
READS_WITH = frozenset(
    {"base64", "binascii", "cryptography", "email", "google", "html", "httptools", "ipaddress"}
    | {"json", "jwt", "msgspec", "pickle", "re", "re2", "ssl", "struct", "urllib", "xml", "yaml"}
)
WRITES = "it writes, and reads nothing"
SETTINGS = "what an operator has set comes through the types of settings, which are tested"
NAMES = "it only names the types of what others have read"

# By module: the properties that hold for what it reads, as file::test; or why there is none.
TABLE: dict[str, tuple[str, ...] | str] = {
    # The metadata endpoint: what any pod may send.
    "rolecall_agent.http.request": (
        "core/agent/http/test_request.py::test_every_head_is_read_without_an_error",
        "fuzz/test_endpoint.py::test_whatever_is_put_together_breaks_nothing",
    ),
    "rolecall_agent.http.framing": (
        "core/agent/http/test_request.py::test_pieces_make_the_same_heads_as_the_whole",
    ),
    "rolecall_agent.http.acceptor": "it takes connections, and reads nothing of them",
    "rolecall_agent.http.connection": "what comes is read in framing and requests",
    "rolecall_agent.http.known_heads": (
        "core/agent/http/test_known_heads.py::test_heads_are_read_as_if_no_other_had_been",
    ),
    "rolecall_agent.metadata.routes": (
        "core/agent/metadata/test_routes.py::test_every_path_leads_somewhere",
        "core/agent/metadata/test_routes.py::test_whatever_is_asked_for_is_compared_without_an_error",
    ),
    "rolecall_agent.metadata.path_class": (
        "core/agent/metadata/test_path_class.py::test_any_path_is_of_a_class",
    ),
    "rolecall_agent.metadata.tokens": (
        "core/agent/metadata/test_tokens.py::test_whatever_is_shown_is_read_without_an_error",
    ),
    "rolecall_agent.http.host_header": (
        "core/repository/test_rim_agent.py::test_any_address_of_ours_has_a_name_in_ascii",
    ),
    "rolecall_agent.http.lingering_close": (
        "it asks the kernel for one number, and reads no bytes of others"
    ),
    "rolecall_agent.http.server_state": (
        "its addresses are the kernel's, of connections that it has accepted"
    ),
    "rolecall_agent.metadata.documents": WRITES,
    # The container endpoint.
    "rolecall_agent.container.decide": (
        "core/repository/test_rim_agent.py::test_any_path_leads_somewhere_at_the_container_endpoint",
    ),
    "rolecall_agent.container.pod_tokens": (
        "core/repository/test_rim_agent.py::test_any_token_of_a_pod_is_read_or_refused",
        "core/repository/test_rim_agent.py::test_any_authorization_holds_a_token_or_none",
        "core/agent/container/test_pod_tokens.py::test_a_token_is_found_in_a_head_as_it_is_parsed",
    ),
    "rolecall_agent.container.signatures": (
        "core/repository/test_rim_agent.py::test_any_keys_of_a_snapshot_verify_nothing_by_an_error",
        "core/repository/test_rim_agent.py::test_any_single_key_of_a_snapshot_is_taken_or_left_out",
    ),
    "rolecall_agent.container.responses": WRITES,
    # The node.
    "rolecall_agent.metadata.imds_client": (
        "core/repository/test_rim_agent.py::test_whatever_the_nodes_own_metadata_says_is_a_value_or_none",
    ),
    "rolecall_agent.sync.ca_bundle": (
        "core/repository/test_rim_agent.py::test_any_bundle_is_believed_or_refused",
    ),
    "rolecall_agent.witness.rtnetlink.parsing": (
        "core/agent/witness/test_rtnetlink.py::test_reading_survives_any_bytes",
    ),
    "rolecall_agent.witness.state_file": (
        "core/agent/witness/test_state_file.py::test_reading_a_state_file_survives_any_bytes",
    ),
    "rolecall_agent.witness.netlink": "it opens sockets",
    "rolecall_agent.witness.rtnetlink.filters": "it writes",
    "rolecall_agent.witness.rtnetlink.layout": "it has what others read and write by",
    # The warden: what nft, ip, conntrack and the kernel say.
    "rolecall_warden.stale_connections": (
        "core/warden/test_stale_connections.py::test_any_text_is_read_as_connections",
    ),
    "rolecall_warden.incumbents": (
        "core/warden/test_stale_connections.py::test_any_bytes_are_read_as_a_table",
        "core/repository/test_rim_agent.py::test_any_listing_of_nft_is_read",
    ),
    "rolecall_warden.counters": (
        "core/warden/test_traffic.py::test_whatever_nft_answers_is_counts_or_nothing",
    ),
    "rolecall_warden.routing": (
        "core/warden/test_routing.py::test_whatever_a_list_holds_it_is_read",
    ),
    "rolecall_warden.table_comments": (
        "core/repository/test_rim_agent.py::test_any_listing_of_nft_is_read",
    ),
    "rolecall_warden.rules": (
        "core/repository/test_rim_agent.py::test_any_listing_of_nft_is_read",
    ),
    "rolecall_warden.file_changes": (
        "core/repository/test_rim_agent.py::test_any_bytes_name_files_that_changed",
    ),
    "rolecall_warden.kernel_news": (
        "core/warden/test_kernel_news.py::test_whatever_the_kernel_says_it_concerns_or_not",
    ),
    "rolecall_warden.kernel": "what its tools say is read in the modules beside it",
    "rolecall_warden.settings": SETTINGS,
    # The wire between the two sides.
    "rolecall_proto.codec.fields": (
        "core/proto/codec/test_fields.py::test_reading_an_address_is_total",
        "core/proto/codec/test_fields.py::test_reading_a_time_is_total",
    ),
    "rolecall_proto.codec.requests": ("core/proto/test_codec.py::test_reading_is_total",),
    "rolecall_proto.codec.updates": ("core/proto/test_codec.py::test_reading_is_total",),
    "rolecall_proto.values": NAMES,
    # Both sides.
    "rolecall_common.account_tokens": (
        "core/repository/test_rim_agent.py::test_any_token_of_a_pod_is_read_or_refused",
        "core/server/kube/auth/test_token_claims.py::test_whatever_a_token_holds_it_is_read_or_refused",
    ),
    "rolecall_common.settings.types": (
        "core/common/settings/test_declare.py::test_whatever_is_written_is_a_value_or_a_problem",
    ),
    "rolecall_common.settings.durations": (
        "core/common/settings/test_declare.py::test_whatever_is_written_is_a_value_or_a_problem",
    ),
    "rolecall_common.settings.loader": (
        "core/common/settings/test_loader.py::test_no_text_makes_reading_raise_anything_but_settings_error",
    ),
    "rolecall_common.settings.yaml_file": (
        "core/repository/test_rim_agent.py::test_any_settings_file_is_read_or_refused",
    ),
    "rolecall_common.settings.declare": NAMES,
    "rolecall_common.heartbeat_file": (
        "core/common/test_heartbeat_file.py::test_any_bytes_are_a_stamp_or_none",
    ),
    "rolecall_common.probe": ("core/common/test_probe.py::test_any_bytes_are_an_answer",),
    "rolecall_common.endpoint_file": (
        "core/repository/test_rim_agent.py::test_any_file_names_a_port_or_none",
    ),
    "rolecall_common.admin_http": (
        "seams/common/test_admin_http.py::test_no_text_makes_the_pages_raise",
    ),
    "rolecall_common.callbacks": "it cuts short what a loop reports, and takes nothing from it",
    "rolecall_common.audit": WRITES,
    "rolecall_common.line_writer": WRITES,
    "rolecall_common.logs": WRITES,
    # What users write: annotations, roles, rules of namespaces.
    "rolecall_server.model.pods": (
        "core/server/model/test_pods.py::test_whatever_an_object_says_parsing_returns",
    ),
    "rolecall_server.model.kube_objects": (
        "core/server/model/test_pods.py::test_whatever_an_object_says_parsing_returns",
    ),
    "rolecall_server.model.annotations": (
        "core/server/model/test_pods.py::test_whatever_an_object_says_parsing_returns",
        "core/server/policy/test_policy.py::test_whatever_is_written_gets_a_decision",
    ),
    "rolecall_server.policy.role_arns": (
        "core/server/policy/test_role_arns.py::test_what_a_pod_is_shown_leads_back_to_its_role",
        "core/server/policy/test_policy.py::test_whatever_is_written_gets_a_decision",
    ),
    "rolecall_server.policy.policy": (
        "core/server/policy/test_policy.py::test_whatever_is_written_gets_a_decision",
    ),
    "rolecall_server.policy.regex": (
        "core/server/policy/test_namespace_rules.py::test_whatever_a_namespace_says_it_gets_a_verdict",
    ),
    "rolecall_server.policy.namespace_rules": (
        "core/server/policy/test_namespace_rules.py::test_whatever_a_namespace_says_it_gets_a_verdict",
    ),
    "rolecall_server.policy.allowed_roles": (
        "core/server/policy/test_namespace_rules.py::test_whatever_a_namespace_says_it_gets_a_verdict",
    ),
    "rolecall_server.policy.session_names": (
        "core/server/policy/test_session_names.py::test_any_text_becomes_a_name_that_sts_takes",
        "core/server/policy/test_session_names.py::test_a_template_parses_or_says_why_not",
    ),
    "rolecall_server.policy.session_tags": (
        "core/repository/test_rim_server.py::test_any_template_of_a_tag_is_read_or_refused",
    ),
    "rolecall_server.policy.rules": SETTINGS,
    "rolecall_server.settings.listening": SETTINGS,
    "rolecall_server.settings.sessions": (
        "core/common/settings/test_declare.py::test_whatever_is_written_is_a_value_or_a_problem",
    ),
    "rolecall_server.engine.statistics": "it reads what the server itself has said",
    # Manifests.
    "rolecall_server.manifests.files": (
        "core/repository/test_rim_server.py::test_any_file_is_text_or_has_its_problem",
    ),
    "rolecall_server.manifests.documents": (
        "core/server/manifests/test_manifests_hostile.py::test_any_text_is_read_or_refused",
    ),
    "rolecall_server.manifests.contents": (
        "core/server/manifests/test_manifests_hostile.py::test_any_object_is_read_or_refused",
    ),
    "rolecall_server.manifests.workloads": (
        "core/server/manifests/test_manifests_hostile.py::test_any_object_is_read_or_refused",
    ),
    "rolecall_server.manifests.placement": SETTINGS,
    # The API server, and who calls.
    "rolecall_server.rpc.authentication": (
        "core/repository/test_rim_server.py::test_any_metadata_of_a_call_has_a_token_or_none",
    ),
    "rolecall_server.model.authenticator": (
        "core/repository/test_rim_server.py::test_any_token_is_a_node_or_nobody_on_loopback",
    ),
    "rolecall_server.kube.access": (
        "core/repository/test_rim_server.py::test_any_kubeconfig_is_read_or_refused",
    ),
    "rolecall_server.kube.guard": (
        "core/repository/test_rim_server.py::test_any_policy_is_a_guard_or_none",
    ),
    "rolecall_server.kube.auth.jwks": (
        "core/repository/test_rim_server.py::test_any_documents_of_an_issuer_are_keys_or_unusable",
        "core/repository/test_rim_server.py::test_any_key_of_an_issuer_is_one_or_unusable",
    ),
    "rolecall_server.kube.informer.decoder": (
        "core/server/kube/informer/test_decoder.py::test_no_object_raises_anything",
    ),
    "rolecall_server.kube.informer.depth_limit": (
        "core/server/kube/informer/test_depth_limit.py::test_any_json_is_json_still_where_what_is_too_deep_is_cut_off",
        "core/server/kube/informer/test_depth_limit.py::test_any_bytes_are_less_deep_than_a_decoder_can_go",
    ),
    "rolecall_server.kube.auth.token_review": (
        "core/repository/test_rim_server.py::test_any_review_of_a_token_has_a_result",
    ),
    "rolecall_server.kube.auth.token_claims": (
        "core/server/kube/auth/test_token_claims.py::test_whatever_a_token_holds_it_is_read_or_refused",
    ),
    "rolecall_server.kube.client": "HTTP and TLS are a library's",
    # Bodies are read in decoder.
    "rolecall_server.kube.transport": (
        "core/server/kube/test_transport.py::test_lines_come_out_as_they_went_in_however_they_are_cut",
    ),
    "rolecall_server.rpc.certificate": (
        "core/repository/test_rim_server.py::test_any_certificate_and_key_are_a_pair_or_refused",
    ),
    # STS.
    "rolecall_server.sts.replies": (
        "core/server/sts/test_replies.py::test_any_bytes_are_read_or_malformed",
        "core/server/sts/test_replies.py::test_any_text_in_any_field_is_read_or_malformed",
        "core/repository/test_rim_server.py::test_any_reply_of_sts_is_a_value_or_an_outcome",
    ),
    "rolecall_server.sts.factory": "HTTP and TLS are a library's",
    "rolecall_server.sts.transport": "HTTP and TLS are a library's; bodies are read in replies",
    "rolecall_server.sts.endpoint": SETTINGS,
    "rolecall_server.sts.requests": WRITES,
}
PROPERTIES = sorted({each for row in TABLE.values() if isinstance(row, tuple) for each in row})


def modules() -> dict[str, Path]:
    """Return every module of ours by its name, generated ones aside."""
    return {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts)): path
        for package, folder in PACKAGES.items()
        for path in sorted(folder.rglob("*.py"))
        if "_pb2" not in path.name
    }


def imported(path: Path) -> set[str]:
    """Return the first part of the name of everything that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_module_that_reads_has_a_property_or_a_reason() -> None:
    """Give a new one its row: the property that nothing makes it raise, or why it needs none."""
    reading = {name for name, path in modules().items() if imported(path) & READS_WITH}

    assert reading - TABLE.keys() == set()


def test_every_row_is_about_a_module() -> None:
    """A module that was renamed or removed takes its row along."""
    assert TABLE.keys() - modules().keys() == set()


@pytest.mark.parametrize("wanted", PROPERTIES)
def test_every_property_is_there(wanted: str) -> None:
    """What the table names is a test that draws its input."""
    file, _, name = wanted.partition("::")
    functions = {
        node.name: [ast.unparse(each) for each in node.decorator_list]
        for node in ast.parse((ROOT / "tests" / file).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert any(each.startswith("given(") for each in functions.get(name, []))
