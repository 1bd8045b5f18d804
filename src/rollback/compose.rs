//! `compose`: a service is given an image that never ran here, by Compose.

use std::time::Duration;

use rollbackd_core::plan::StepOutcome;

use super::outcome;
use crate::engine::compose::{Compose, Errand, up::Wanted};

/// What of a step's limit is left for looking before and after Compose, and for
/// ending it when it takes too long.
const AROUND: Duration = Duration::from_secs(45);

pub(super) async fn run(
    compose: &Compose,
    errand: Errand<'_>,
    wanted: Wanted<'_>,
    limit: Duration,
) -> StepOutcome {
    let limit = limit.saturating_sub(AROUND).max(limit / 2);
    outcome(compose.deploy_image(errand, wanted, limit).await)
}
