//! `retag`: a service's moving tag names the image that runs again.

use rollbackd_core::{
    plan::StepOutcome,
    words::{ImageId, ServiceName},
};

use super::outcome_of_the_world;
use crate::engine::compose::{Compose, Errand};

pub(super) async fn run(
    compose: &Compose,
    errand: Errand<'_>,
    users: &[&ServiceName],
    reference: &str,
    image: ImageId,
) -> StepOutcome {
    outcome_of_the_world(compose.retag(errand, users, reference, image).await)
}
