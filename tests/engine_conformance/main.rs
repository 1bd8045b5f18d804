//! What the rooms above may rely on of an engine: one list of promises, each
//! kept by the engine model and by the real engine. What is not promised here
//! must not be relied on.

#![cfg(feature = "testing")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "in a test, a broken promise is a panic")]

mod bench;
mod images;
mod life;
mod origin;
mod people;
mod places;
#[path = "../support/room.rs"]
#[allow(
    clippy::disallowed_methods,
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the support of all tests, and nobody's library"
)]
mod support;

use bench::Bench;
use images::*;
use life::*;
use origin::*;
use places::*;

/// Each promise, as a test on the model and as one on the real engine.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod model {
            $(#[tokio::test] async fn $promise() {
                super::$promise(super::Bench::model()).await;
            })*
        }
        mod real {
            $(#[tokio::test] async fn $promise() {
                super::$promise(super::Bench::real()).await;
            })*
        }
    };
}

promises! {
    it_says_which_engine_it_is
    a_create_needs_an_image
    a_name_is_one_containers_alone
    what_is_not_there_is_none
    a_running_container_takes_another_name
    names_can_be_swapped_while_both_are_there
    a_wrong_entrypoint_fails_the_start_and_leaves_it_created
    a_stop_ends_the_program_and_tells_it
    a_program_that_ignores_the_stop_is_killed_after_its_grace
    starting_what_runs_and_stopping_what_does_not_change_nothing
    a_kill_ends_what_runs_and_is_refused_for_what_does_not
    a_running_container_is_removed_only_by_force
    a_program_that_ends_leaves_its_code
    a_restart_policy_restarts_and_a_stop_ends_that
    a_failing_check_makes_it_unhealthy_and_tells_it
    a_restart_policy_can_be_changed
    the_tags_of_a_repository_are_listed
    a_program_that_is_mounted_runs_in_an_image_without_one
    a_tag_moves_and_leaves_the_old_image_dangling
    the_last_tag_of_an_image_in_use_stays
    an_unused_image_goes_with_its_last_tag
    a_prune_takes_what_dangles_and_is_unused
    a_full_prune_leaves_what_a_container_uses
    a_port_of_another_container_fails_the_start
    a_port_of_another_process_fails_the_start
    a_fixed_address_that_is_taken_fails_the_start
    a_fixed_address_needs_a_subnet_that_was_chosen
    networks_give_addresses_and_aliases
    a_network_that_is_not_there_fails_the_start
    a_namespace_of_what_does_not_run_cannot_be_joined
    an_image_adds_what_the_container_does_not_say
    a_record_makes_an_equal_container
    anonymous_volumes_go_only_when_asked
    a_project_is_listed_whole_and_alone
    containers_are_found_by_their_reference
    events_carry_the_labels
    what_runs_uses_memory_and_processor
    the_digests_of_a_pulled_image_are_known
    an_image_of_no_registry_has_no_digests
    a_container_that_a_puller_recreated_is_seen_as_unattended
    what_a_puller_recreated_before_anybody_looked_is_seen_as_unattended
    what_compose_recreated_is_not
    what_was_built_here_and_deployed_is_not
    what_rollbackd_put_back_is_not
    a_put_back_leaves_what_somebody_deployed_in_its_place
}
