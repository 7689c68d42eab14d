"""Which test stands for which requirement of OWASP ASVS 5.0; ``python test_asvs.py`` writes the page (auth X9)."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parents[2] / "docs" / "asvs.md"

# Requirement: what it comes to here, in our words; tests as file::name.
ASVS: dict[str, tuple[str, list[str]]] = {
    "4.1.3": (
        "Identity headers that the gateway sets cannot be overridden by a client.",
        ["gateway/test_servers.py::test_every_server_gives_the_same_answer"],
    ),
    "6.1.1": (
        "Limits of failed logins, their order and their numbers are documented, with what answers which attack.",
        [
            "logins/test_login_guard.py::test_waits_double_up_to_fifteen_minutes_and_end_at_a_hundred",
            "logins/test_login_guard.py::test_spraying_closes_the_network_and_a_success_does_not_open_it",
            "logins/test_login_guard.py::test_strangers_who_lock_themselves_out_do_not_lock_the_owner_out",
        ],
    ),
    "6.1.2": (
        "Words of the service's context make no password.",
        ["test_password_policy.py::test_what_everybody_tries_first_is_refused"],
    ),
    "6.2.1": (
        "Passwords have at least 15 characters, 8 beside a second factor.",
        ["test_password_policy.py::test_the_length_counts_in_code_points"],
    ),
    "6.2.2": (
        "Users can change their password.",
        ["authenticator/test_password_change.py::test_the_new_password_logs_in_and_the_old_one_does_not"],
    ),
    "6.2.3": (
        "Changing a password needs the current one.",
        ["authenticator/test_password_change.py::test_a_refused_change_changes_nothing_and_leaves_one_event"],
    ),
    "6.2.4": (
        "More than 3,000 common passwords that satisfy the length rule are refused.",
        ["test_password_policy.py::test_the_bundled_list_is_large_enough_and_obeys_the_length_rule"],
    ),
    "6.2.5": (
        "Passwords of any composition are taken.",
        [
            "test_password_policy.py::test_long_passwords_pass_whatever_they_are_made_of",
            "test_password_policy.py::test_there_are_no_composition_rules",
        ],
    ),
    "6.2.8": (
        "No truncation and no change of case; the Unicode form is a setting.",
        [
            "test_password_hashing.py::test_what_lies_beyond_72_bytes_counts",
            "test_password_hashing.py::test_the_normalisation_can_be_chosen",
        ],
    ),
    "6.2.9": (
        "Passwords of 64 characters and more are taken.",
        ["test_password_hashing.py::test_sixty_four_emoji_round_trip"],
    ),
    "6.2.10": (
        "Passwords do not expire.",
        ["test_password_policy.py::test_there_are_no_composition_rules"],
    ),
    "6.2.11": (
        "Words of the user's context make no password.",
        ["test_password_policy.py::test_what_everybody_tries_first_is_refused"],
    ),
    "6.2.12": (
        "New passwords are looked up among breached ones.",
        [
            "breaches/test_breach_checks.py::test_a_new_password_from_a_breach_is_refused_by_a_code",
            "breaches/test_breach_file.py::test_every_hash_of_the_file_is_found_and_no_other",
            "breaches/test_breach_range.py::test_the_service_sees_five_digits_and_asks_for_padding",
        ],
    ),
    "6.3.1": (
        "Guessing and credential stuffing are bounded, under load, over several processes and during outages.",
        [
            "logins/test_login_guard.py::test_two_hundred_guesses_at_once_are_ten_verifications",
            "logins/test_login_outage.py::test_two_hundred_guesses_during_an_outage_are_ten_verifications",
            "extras/dynamo/test_guarded_logins.py::test_guesses_at_once_in_two_processes_are_ten_together",
        ],
    ),
    "6.3.8": (
        "A failed login does not tell whether the user exists.",
        ["test_password_equal_work.py::test_every_failure_costs_the_target"],
    ),
    "6.5.2": (
        "Secrets that are looked up have at least 112 random bits and are stored by a hash.",
        [
            "test_api_keys.py::test_the_secret_comes_from_the_entropy_that_was_given",
            "test_api_keys.py::test_a_dump_of_the_store_holds_no_secret",
        ],
    ),
    "7.2.1": (
        "Tokens are verified by the service itself.",
        ["test_token_validation.py::test_validation_does_no_io"],
    ),
    "7.2.2": (
        "Tokens are made anew for each session, never fixed.",
        ["test_token_issue.py::test_every_token_has_an_id_of_128_random_bits"],
    ),
    "7.2.3": (
        "The id of a token has 128 random bits.",
        ["test_token_issue.py::test_every_token_has_an_id_of_128_random_bits"],
    ),
    "7.4.3": (
        "A changed password ends all sessions unless the service wants otherwise.",
        ["authenticator/test_password_change.py::test_sessions_before_end_and_sessions_after_count"],
    ),
    "7.2.4": (
        "Each login is a session of its own, with new tokens.",
        ["sessions/test_session_list.py::test_each_login_is_a_session_of_its_own"],
    ),
    "7.3.1": ("Sessions that nobody renews end.", ["sessions/test_refresh.py::test_idle_sessions_end"]),
    "7.3.2": (
        "Sessions end at last, however busy they are.",
        ["sessions/test_refresh.py::test_no_renewal_moves_the_absolute_end"],
    ),
    "7.4.1": (
        "A session that was ended is refused: its refresh tokens and its access tokens.",
        [
            "sessions/test_revocation.py::test_row_35_an_access_token_after_logout",
            "sessions/test_revocation.py::test_one_session_ends_and_the_others_go_on",
        ],
    ),
    "7.4.2": (
        "The sessions of a user who was disabled end.",
        ["sessions/test_session_list.py::test_disabling_a_user_ends_every_session"],
    ),
    "7.4.5": (
        "All sessions of a user can be ended in one write, and those of all users by revoking the key.",
        [
            "sessions/test_revocation.py::test_logout_everywhere_is_one_write",
            "test_keys.py::test_a_revoked_key_fails_at_once",
        ],
    ),
    "7.5.2": (
        "Users can see their sessions, and end one, the others or all.",
        [
            "sessions/test_session_list.py::test_sessions_are_listed_with_what_a_user_wants_to_know",
            "sessions/test_session_list.py::test_one_the_others_or_all_can_be_ended",
        ],
    ),
    "9.1.1": (
        "The signature of a token is verified before its claims are read.",
        ["test_token_validation.py::test_cheap_checks_come_first_and_keys_late"],
    ),
    "9.1.2": (
        "Only listed algorithms are taken, never none, and symmetric ones never beside others.",
        [
            "test_token_attacks.py::test_row_01_algorithm_none_in_every_spelling",
            "test_keys.py::test_keys_that_do_not_go_together_make_no_ring",
        ],
    ),
    "9.1.3": (
        "Keys come from the configuration, never from the token.",
        [
            "test_token_attacks.py::test_row_04_a_key_inside_the_token",
            "test_token_attacks.py::test_row_05_an_address_of_keys",
        ],
    ),
    "9.2.1": (
        "A token is taken only within its time.",
        ["test_token_validation.py::test_times_count_to_the_second"],
    ),
    "9.2.2": (
        "A token is taken only as what it is.",
        ["test_token_validation.py::test_no_kind_of_token_is_taken_for_another"],
    ),
    "9.2.3": (
        "A token is taken only by the service that it is for.",
        ["test_token_attacks.py::test_row_28_several_audiences"],
    ),
    "9.2.4": (
        "Tokens of one issuer for several services name one service each.",
        ["test_token_validation.py::test_audience_lists_on_demand"],
    ),
    "10.4.5": (
        "A refresh token is used once; using it again ends its session.",
        [
            "sessions/test_refresh.py::test_reuse_ends_the_session",
            "sessions/test_refresh.py::test_two_generations_back_is_reuse_within_the_grace_window_too",
        ],
    ),
    "10.4.8": (
        "Refresh tokens have an absolute end, which no renewal moves.",
        ["sessions/test_refresh.py::test_no_renewal_moves_the_absolute_end"],
    ),
    "10.4.9": (
        "Refresh tokens can be revoked, and access tokens go with them.",
        ["sessions/test_revocation.py::test_a_refresh_token_of_any_generation_ends_its_session"],
    ),
    "11.4.2": (
        "Passwords are stored by bcrypt of a cost that is not below 10, behind a keyed hash.",
        [
            "test_password_hashing.py::test_the_hash_is_bcrypt_of_a_keyed_prehash",
            "test_calibration.py::test_costs_out_of_range_are_refused",
        ],
    ),
    "11.5.1": (
        "What must not be guessed comes from the system's generator and has at least 128 bits.",
        [
            "test_token_issue.py::test_every_token_has_an_id_of_128_random_bits",
            "test_password_hashing.py::test_two_hashes_of_one_password_differ",
        ],
    ),
    "16.2.1": (
        "Events tell when, where, who and what, and are put into order by their numbers.",
        ["audit/test_audit_line.py::test_the_line_has_its_five_members_and_the_event_its_fields"],
    ),
    "16.2.2": (
        "The time of events is in UTC.",
        ["audit/test_audit_line.py::test_an_event_has_a_sortable_id_and_a_time_in_utc"],
    ),
    "16.2.4": (
        "Events are lines of JSON, and can be had in the form of OCSF.",
        ["audit/test_audit_ocsf.py::test_every_type_is_valid_by_the_schema"],
    ),
    "16.2.5": (
        "Secrets do not get into events, and ids that grant something do as keyed hashes alone.",
        [
            "audit/test_redaction.py::test_a_secret_is_found_six_levels_deep_in_any_spelling",
            "audit/test_redaction.py::test_what_is_shaped_like_a_credential_is_masked",
            "audit/test_redaction.py::test_raw_ids_are_absent_from_every_record",
        ],
    ),
    "16.3.3": (
        "Attempts to get around the gateway leave events.",
        [
            "gateway/test_middleware.py::test_each_refusal_leaves_one_event",
            "gateway/test_middleware.py::test_a_replay_and_a_mismatch_have_events_of_their_own",
        ],
    ),
    "16.4.1": (
        "Nothing in an event breaks a line or reaches a terminal.",
        [
            "audit/test_audit_line.py::test_no_text_breaks_a_line_or_reaches_a_terminal",
            "audit/test_audit_commands.py::test_the_newest_events_are_shown_in_printable_text",
        ],
    ),
    "16.4.2": (
        "The file is its owner's alone, and every change of it is found.",
        [
            "audit/test_audit_sinks.py::test_a_file_is_for_its_owner_alone",
            "audit/test_audit_verification.py::test_every_flip_of_a_byte_is_found",
            "audit/test_audit_verification.py::test_every_deletion_and_every_swap_is_found",
        ],
    ),
    "16.5.2": (
        "Where the trail fails, requests go on, and operations that need a record are refused.",
        ["audit/test_audit_logger.py::test_with_all_sinks_down_logins_work_and_role_changes_do_not"],
    ),
}


def order(requirement: str) -> tuple[int, ...]:
    """Sort 6.2.10 behind 6.2.9."""
    return tuple(int(part) for part in requirement.split("."))


def page() -> str:
    """Return the page as it must be."""
    lines = [
        "# OWASP ASVS 5.0",
        "",
        "Which test of common-auth stands for which requirement of the Application Security Verification Standard 5.0.",
        "The page is written by `python packages/common-auth/tests/test_asvs.py`.",
        "",
        "| requirement | what it comes to here | proved by |",
        "|---|---|---|",
    ]
    for requirement in sorted(ASVS, key=order):
        sentence, tests = ASVS[requirement]
        proofs = "<br>".join(f"packages/common-auth/tests/{test}" for test in tests)
        lines.append(f"| {requirement} | {sentence} | {proofs} |")
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("requirement", list(ASVS))
def test_every_named_test_exists(requirement: str) -> None:
    """Each requirement of the table has at least one test, and each test is there."""
    _, tests = ASVS[requirement]
    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text("utf-8"), re.MULTILINE)


def test_the_page_is_what_the_table_says() -> None:
    """Run this file with ``python`` after a change of the table."""
    assert page() == PAGE.read_text("utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
