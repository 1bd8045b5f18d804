//! Every key of the configuration, table by table. What is not here is unknown.

/// One kind of table: how it is headed, and its keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// How the table is headed in the file, for messages.
    pub(super) title: &'static str,
    /// Its keys.
    pub(super) keys: &'static [&'static str],
}

const fn shape(title: &'static str, keys: &'static [&'static str]) -> Shape {
    Shape { title, keys }
}

pub(super) const TOP: Shape = shape(
    "the top level",
    &["state_dir", "mode", "api", "docker", "email", "webhook", "source", "project"],
);
pub(super) const API: Shape = shape("[api]", &["socket", "listen"]);
pub(super) const DOCKER: Shape = shape("[docker]", &["host", "compose"]);
pub(super) const EMAIL: Shape =
    shape("[email]", &["server", "password_file", "from", "to", "ca_file"]);
pub(super) const WEBHOOK: Shape = shape("[webhook.NAME]", &["url", "url_file", "format", "on"]);

pub(super) const PROMETHEUS: Shape = shape(
    "a prometheus [source.NAME]",
    &["kind", "url", "timeout", "bearer_token_file", "user", "password_file", "ca_file"],
);
pub(super) const SCRAPE: Shape = shape(
    "a scrape [source.NAME]",
    &[
        "kind",
        "service",
        "port",
        "path",
        "url",
        "timeout",
        "bearer_token_file",
        "user",
        "password_file",
        "ca_file",
        "requests",
        "status_label",
        "error_status",
        "latency",
    ],
);
pub(super) const PROBE: Shape = shape(
    "a probe [source.NAME]",
    &[
        "kind",
        "url",
        "expect",
        "body_contains",
        "timeout",
        "bearer_token_file",
        "user",
        "password_file",
        "ca_file",
    ],
);
/// The keys of all kinds of source, for one whose kind cannot be read.
pub(super) const SOURCE_KEYS: &[&str] = &[
    "kind",
    "url",
    "service",
    "port",
    "path",
    "expect",
    "body_contains",
    "timeout",
    "bearer_token_file",
    "user",
    "password_file",
    "ca_file",
    "requests",
    "status_label",
    "error_status",
    "latency",
];

pub(super) const PROJECT: Shape = shape(
    "[project.NAME]",
    &[
        "engine",
        "mode",
        "bake",
        "after_bake",
        "settle",
        "grace",
        "start_timeout",
        "scope",
        "order",
        "drain",
        "stateful",
        "keep",
        "keep_by",
        "keep_max",
        "dir",
        "files",
        "env_files",
        "profiles",
        "cooldown",
        "max_rollbacks",
        "recover_within",
        "not_recovered",
        "max_depth",
        "min_requests",
        "max_gap",
        "on_blind",
        "blames",
        "blame",
        "health",
        "drills",
        "restore_files",
        "watch_files",
        "schema_changed",
        "service",
        "group",
        "trigger",
        "plan",
    ],
);
pub(super) const SERVICE: Shape = shape("[project.NAME.service.NAME]", &["health"]);
pub(super) const GROUP: Shape = shape("[project.NAME.group.NAME]", &["needs"]);
pub(super) const TRIGGER: Shape = shape(
    "[[project.NAME.trigger]]",
    &[
        "name",
        "service",
        "signal",
        "source",
        "query",
        "select",
        "above",
        "below",
        "above_baseline",
        "failures",
        "clear_below",
        "clear_above",
        "clear_for",
        "for",
        "for_known_bad",
        "share",
        "window",
        "every",
        "grace",
        "min_requests",
        "max_gap",
        "recover_within",
        "on_blind",
        "blames",
        "blame",
        "group",
        "action",
    ],
);

pub(super) const PLAN: Shape =
    shape("[project.NAME.plan]", &["on_failure", "before", "switch", "after", "verify"]);
pub(super) const STEP: Shape = shape(
    "a step of a plan",
    &["name", "timeout", "retry", "on_failure", "backup", "exec", "run", "http"],
);
pub(super) const EXEC: Shape = shape("a command in a service", &["service", "command"]);
pub(super) const HTTP: Shape =
    shape("an HTTP step", &["method", "url", "body", "headers", "expect"]);
pub(super) const RETRY: Shape = shape("`retry`", &["attempts", "backoff"]);

/// Every kind of table.
pub(super) const ALL: [Shape; 17] = [
    TOP, API, DOCKER, EMAIL, WEBHOOK, PROMETHEUS, SCRAPE, PROBE, PROJECT, SERVICE, GROUP, TRIGGER,
    PLAN, STEP, EXEC, HTTP, RETRY,
];

/// Words of other tools for keys of ours.
pub(super) const ALIASES: [(&str, &str); 14] = [
    ("interval", "every"),
    ("scrape_interval", "every"),
    ("threshold", "above"),
    ("duration", "for"),
    ("keep_firing_for", "clear_for"),
    ("expr", "query"),
    ("promql", "query"),
    ("metric", "signal"),
    ("type", "kind"),
    ("address", "url"),
    ("container", "service"),
    ("recipients", "to"),
    ("sender", "from"),
    ("retries", "failures"),
];
