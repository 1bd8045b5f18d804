//! `GET /v1/why/PROJECT/SERVICE`: a question to the loop.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use rollbackd_core::words::{ProjectName, ServiceName};
use tokio::{sync::oneshot, time::timeout};

use super::{Problem, QUESTION_WITHIN, Rooms, hand_over};
use crate::api::{Question, Snapshot, json, map};

/// Why it does or does not act, as of now.
pub(super) async fn why(
    State(rooms): State<Rooms>,
    Path((project, service)): Path<(ProjectName, ServiceName)>,
) -> Result<Json<json::why::Why>, Problem> {
    let (answer, answered) = oneshot::channel();
    let question = Question { project: project.clone(), service: service.clone(), answer };
    hand_over(&rooms.doors.questions, question)?;
    match timeout(QUESTION_WITHIN, answered).await {
        Ok(Ok(Some(why))) => Ok(Json(map::why(&why, &rooms.doors.clock))),
        Ok(Ok(None)) => Err(Problem::no_service(&project, &service, &rooms.snapshot())),
        Ok(Err(_)) => Err(Problem::stopping()),
        Err(_) => Err(Problem::timeout("the daemon is too busy to answer just now")),
    }
}

impl Problem {
    /// Says which there are.
    fn no_service(project: &ProjectName, service: &ServiceName, snapshot: &Snapshot) -> Self {
        let Some(view) = snapshot.projects.iter().find(|view| view.name == *project) else {
            return Self::no_project(project, snapshot);
        };
        let known = view.services.iter().map(|known| format!("{project}/{}", known.name));
        let known: Vec<String> = known.collect();
        let hint = if known.is_empty() {
            format!("nothing is known of {project}'s services yet")
        } else {
            format!("there are: {}", known.join(", "))
        };
        let message = format!("there is no service {service} in project {project}");
        Self::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    }
}
