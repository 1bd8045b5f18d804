//! `discard`: what was kept aside is removed.

use rollbackd_core::{plan::StepOutcome, words::ServiceName};

use super::outcome_of_the_world;
use crate::engine::compose::{Compose, Errand};

pub(super) async fn run(
    compose: &Compose,
    errand: Errand<'_>,
    services: &[ServiceName],
) -> StepOutcome {
    outcome_of_the_world(compose.discard(errand, services).await)
}
