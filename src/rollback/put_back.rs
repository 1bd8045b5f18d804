//! `put-back`: what was kept aside runs again. Its failure is never held
//! against the target.

use rollbackd_core::{plan::StepOutcome, words::ServiceName};

use super::outcome_of_the_world;
use crate::engine::compose::{Compose, Errand};

pub(super) async fn run(
    compose: &Compose,
    errand: Errand<'_>,
    service: &ServiceName,
) -> StepOutcome {
    outcome_of_the_world(compose.put_back(errand, service).await)
}
