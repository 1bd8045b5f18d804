//! `wait-healthy`: until the services' containers do what they are for.

use std::time::Duration;

use rollbackd_core::{plan::StepOutcome, words::ServiceName};

use super::outcome;
use crate::engine::compose::{Compose, Errand};

pub(super) async fn run(
    compose: &Compose,
    errand: Errand<'_>,
    services: &[ServiceName],
    limit: Duration,
) -> StepOutcome {
    outcome(compose.wait_healthy(errand, services, limit).await)
}
