//! What the contract has and this version does not: each is one clear error.
//! Their shapes are checked all the same, so that a file written for later
//! holds no surprise.

use std::time::Duration;

use toml::de::DeValue;

use super::{
    addresses,
    reader::Table,
    schema,
    values::{self, Value, Wrong, quoted},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ACTIONS: [&str; 4] = ["backup", "exec", "run", "http"];

/// `[webhook.NAME]`
pub(super) fn webhooks(top: &Table<'_>) {
    top.not_built("webhook", "`webhook`", "write `[email]`, and remove the webhooks");
    let events = [("breach", ()), ("rollback", ()), ("escalation", ())];
    for (name, _, value) in top.named("webhook", "[webhook.chat]") {
        let Some(table) = top.table_of(value, format!("[webhook.{name}]"), schema::WEBHOOK) else {
            continue;
        };
        // Who knows a chat's URL may write there.
        if let Some(value) = table.value("url") {
            table.findings.secret(value.span);
        }
        let url = table.read("url", addresses::url("https://chat.example.com/hook"));
        let file = table.read("url_file", values::text("/etc/rollbackd/chat-url"));
        let hint = "write `url_file = \"/etc/rollbackd/chat-url\"`, or `url`";
        match (url.span(), file.is_absent()) {
            (Some(place), false) => {
                let message = format!("{} has both `url` and `url_file`", table.title);
                table.findings.error(place, message, "keep one of the two");
            }
            (None, true) if url.is_absent() => table.lacks("url_file", hint),
            _ => {}
        }
        table.read("format", values::word(&[("slack", ()), ("json", ())]));
        table.read("on", values::list(values::word(&events)));
    }
}

/// The keys of a project: `engine`, `plan`, `restore_files`, `watch_files`,
/// `schema_changed`.
pub(super) fn of_project(table: &Table<'_>) {
    table.read("engine", |value| {
        if value.is_text("swarm") {
            let hint = "leave it out: Compose projects are watched";
            return Err(Wrong::new("`engine = \"swarm\"` is not built yet", hint));
        }
        values::word(&[("compose", ())])(value)
    });
    for key in ["restore_files", "watch_files"] {
        let texts = values::list(values::text(".env"));
        let shaped = table.value(key).is_some_and(|value| texts(&value).is_ok());
        if shaped {
            table.not_built(key, &format!("`{key}`"), "remove it: files are left as they are");
        } else {
            table.read(key, texts);
        }
    }
    let schema = |value: &Value<'_>| match value.str() {
        Some(text)
            if text == "refuse"
                || text.strip_prefix("plan:").is_some_and(|plan| !plan.is_empty()) =>
        {
            let hint = "remove it: labels of schemas are not looked at";
            Err::<(), _>(Wrong::new("`schema_changed` is not built yet", hint))
        }
        _ => Err(value.takes("\"refuse\" or \"plan:NAME\"", "remove it: it is not built yet")),
    };
    table.read("schema_changed", schema);
    if table.not_built("plan", "`plan`", "remove it: the standard plan is run")
        && let Some(plan) = table.table("plan", schema::PLAN)
    {
        steps(&plan);
    }
}

fn steps(plan: &Table<'_>) {
    plan.read("on_failure", values::text("escalate"));
    for key in ["before", "switch", "after", "verify"] {
        let title = format!("[[project.NAME.plan.{key}]]");
        for step in plan.tables(key, &title, schema::STEP) {
            step_shape(&step);
        }
    }
}

fn step_shape(step: &Table<'_>) {
    let found: Vec<&str> =
        ACTIONS.into_iter().filter(|action| step.value(action).is_some()).collect();
    if found.len() != 1 {
        let message = format!("{} does {} things", step.title, found.len());
        let hint = "a step has exactly one of `backup`, `exec`, `run` and `http`";
        step.findings.absent(step.place.clone(), message, hint);
    }
    let command =
        || values::some(values::list(values::text("nginx")), "[\"nginx\", \"-s\", \"reload\"]");
    step.read("name", values::text("smoke test"));
    step.read("timeout", values::duration("5m", Duration::from_millis(1)..=DAY));
    step.read("on_failure", values::text("escalate"));
    step.read("run", command());
    for key in ["backup", "exec"] {
        if let Some(exec) = step.table(key, schema::EXEC) {
            exec.need("service", values::service, "write `service = \"postgres\"`");
            exec.need("command", command(), "write `command = [\"pg_dump\", \"shop\"]`");
        }
    }
    if let Some(http) = step.table("http", schema::HTTP) {
        http.need(
            "url",
            addresses::url("http://127.0.0.1:4242/flags"),
            "write `url = \"http://127.0.0.1:4242/flags\"`",
        );
        http.read("method", method);
        http.read("expect", values::list(values::count(100..=599)));
    }
    if let Some(retry) = step.table("retry", schema::RETRY) {
        retry.read("attempts", values::count(1..=100));
        retry.read("backoff", values::duration("2s", Duration::ZERO..=DAY));
    }
}

fn method(value: &Value<'_>) -> Result<(), Wrong> {
    let DeValue::String(text) = value.item else {
        return Err(value.takes("an HTTP method", "write `method = \"POST\"`"));
    };
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase());
    let wrong =
        || Wrong::new(format!("{} is no HTTP method", quoted(text)), "write `method = \"POST\"`");
    fits.then_some(()).ok_or_else(wrong)
}
