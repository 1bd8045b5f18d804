//! `recreate`: a service's containers are replaced by recorded ones.

use rollbackd_core::plan::StepOutcome;

use super::outcome;
use crate::engine::compose::{Compose, Errand, recreate::Target};

pub(super) async fn run(compose: &Compose, errand: Errand<'_>, target: Target<'_>) -> StepOutcome {
    outcome(compose.recreate(errand, target).await)
}
