//! `why`: why a service was or was not rolled back, now or at a past moment.

use rollbackd_core::words::{ProjectName, ServiceName};

use crate::cli::{
    args::Target,
    at::At,
    client::Client,
    exit::{Exit, Failure},
    out::Out,
    show,
};

/// Shows it.
pub(super) async fn why(
    client: &Client,
    target: &Target,
    at: Option<&At>,
    out: &Out,
) -> Result<Exit, Failure> {
    let Some(service) = &target.service else {
        return Err(which(client, &target.project).await);
    };
    let reader = out.reader();
    let at = at.map(|at| at.of(reader.now, &reader.zone)).transpose().map_err(|why| {
        let hint = "write it whole, as 2026-11-21T03:12:00Z";
        Failure::new(Exit::Usage, "usage", format!("there is no such time here: {why}"), hint)
    })?;
    let why = client.why(&target.project, service, at).await?;
    if out.json {
        out.document(&why)?;
    } else {
        out.text(&show::why::why(&why, &reader))?;
    }
    Ok(Exit::Done)
}

/// A project alone was named: its services are told, when the daemon knows them.
async fn which(client: &Client, project: &ProjectName) -> Failure {
    let names = match client.status().await {
        Ok(status) => {
            let known = status.projects.into_iter().filter(|known| known.name == *project);
            known.flat_map(|known| known.services).map(|service| service.name).collect()
        }
        Err(_) => Vec::new(),
    };
    let message = format!("`why` is about one service: name one of {project}'s");
    Failure::new(Exit::Usage, "usage", message, hint(project, &names))
}

fn hint(project: &ProjectName, services: &[ServiceName]) -> String {
    match services {
        [] => format!("as {project}/SERVICE; `rollbackd status` shows them"),
        [only] => format!("rollbackd why {project}/{only}"),
        several => {
            let names: Vec<String> =
                several.iter().map(|service| format!("{project}/{service}")).collect();
            format!("there are: {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_alone_is_answered_with_its_services() {
        let project = ProjectName::new("shop");
        let hint = |names: &[&str]| {
            let names: Vec<ServiceName> = names.iter().map(|name| (*name).into()).collect();
            hint(&project, &names)
        };
        insta::assert_snapshot!(hint(&[]), @"as shop/SERVICE; `rollbackd status` shows them");
        insta::assert_snapshot!(hint(&["web"]), @"rollbackd why shop/web");
        insta::assert_snapshot!(hint(&["web", "db"]), @"there are: shop/web, shop/db");
    }
}
