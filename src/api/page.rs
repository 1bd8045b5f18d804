//! The page: what `status` says, for a browser that only looks. Escaped by
//! maud, without scripts, reloaded by the browser itself.

use maud::{DOCTYPE, Markup, html};
use rollbackd_core::{settings::Mode, view::TriggerState};

use crate::api::json::{Compare, Project, Service, Status, Trigger};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222; background: #fff }
h1 { font-size: 1.2rem } h2 { font-size: 1.05rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top }
th { font-weight: 600 } .quiet { color: #666 } .bad { color: #a00; font-weight: 600 } code { font-size: .95em }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } .quiet { color: #999 } .bad { color: #f77 } }
";

/// The whole page. `ill` is why the daemon is not well.
pub(super) fn render(status: &Status, ill: Option<&str>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="5";
                title { "rollbackd" }
                style { (STYLE) }
            }
            body {
                h1 { "rollbackd " span.quiet { (status.version) ", mode " (word(status.mode)) ", " (status.at) } }
                @if let Some(why) = ill { p.bad { (why) } }
                @for project in &status.projects { (project_section(project)) }
                p.quiet { a href="/metrics" { "metrics" } " " a href="/v1/status" { "status as JSON" } " " a href="/v1/history" { "history as JSON" } }
            }
        }
    };
    page.into_string()
}

fn project_section(project: &Project) -> Markup {
    html! {
        h2 {
            (project.name) " "
            span.quiet {
                @match project.revision {
                    Some(revision) => { "r" (revision) }
                    None => { "no revision yet" }
                }
                @if let Some(standing) = project.standing { " " (standing.as_str()) }
            }
            @if project.paused { " " span.bad { "paused" } }
            @if let Some(id) = project.rollback { " " span.bad { "rollback " (id) " runs" } }
        }
        table {
            @for service in &project.services { (service_rows(service)) }
        }
    }
}

fn service_rows(service: &Service) -> Markup {
    let image = service.image.as_deref().unwrap_or("no container");
    html! {
        tr {
            th { (service.name) }
            td colspan="2" { code { (image) } @if let Some(id) = service.image_id { " " span.quiet { (id.short()) } } }
            td {
                @if service.armed { "armed" } @else { span class=[(!service.triggers.is_empty()).then_some("bad")] { "unarmed" } }
                @for reason in &service.reasons { br; span.quiet { (reason) } }
            }
        }
        @for trigger in &service.triggers { (trigger_row(trigger)) }
    }
}

fn trigger_row(trigger: &Trigger) -> Markup {
    let unit = trigger.signal.unit();
    let side = match trigger.condition {
        Compare::Above => "above",
        Compare::Below => "below",
        Compare::AtLeast => "at least",
    };
    let calm = matches!(trigger.state, TriggerState::Ok | TriggerState::Grace);
    html! {
        tr {
            td { (trigger.name) }
            td { @if let Some(value) = trigger.value { (unit.show(value)) } @else { "-" } }
            td.quiet { (side) " " (unit.show(trigger.threshold)) }
            td {
                span class=[(!calm).then_some("bad")] { (trigger.state.as_str()) }
                @if let Some(reason) = &trigger.reason { " " span.quiet { (reason) } }
            }
        }
    }
}

/// A word of the contract, as JSON writes it.
fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Act => "act",
        Mode::Observe => "observe",
    }
}
