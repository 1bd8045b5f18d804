//! Why Compose would deploy something else than what is deployed: the files
//! that changed since, and the variables that came from somebody's shell. It
//! only has to name what a person must look at, so it reads the files as text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::setup::Setup;

/// What may be the reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// The files that changed since, and when.
    files: Vec<(PathBuf, Timestamp)>,
    /// The variables that the files use and nobody gives.
    variables: BTreeSet<String>,
    /// The versions of Compose, where they differ: then and now.
    versions: Option<(String, String)>,
}

impl Drift {
    /// What can be found. `used` are the variables of the files, where Compose
    /// itself has listed them.
    pub(super) fn find(
        setup: &Setup,
        since: Option<Timestamp>,
        used: Option<BTreeSet<String>>,
        (made_by, now): (&str, &str),
    ) -> Self {
        let texts: Vec<(PathBuf, String)> = setup
            .files
            .iter()
            .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
            .collect();
        let given = given(setup);
        let named = texts.iter().flat_map(|(_, text)| env_files_in(text));
        let named = named.map(|file| setup.dir.join(file));
        let sources: BTreeSet<PathBuf> =
            setup.files.iter().cloned().chain(variable_files(setup)).chain(named).collect();
        let changed = |path: PathBuf| {
            let at = Timestamp::try_from(path.metadata().ok()?.modified().ok()?).ok()?;
            since.is_some_and(|since| at > since).then_some((path, at))
        };
        let passed = texts.iter().flat_map(|(_, text)| passed_on(text));
        let used =
            used.unwrap_or_else(|| texts.iter().flat_map(|(_, text)| variables_in(text)).collect());
        let lacking = |name: &String| !given.contains_key(name) && std::env::var_os(name).is_none();
        // What a distribution adds to a number changes nothing.
        let now = now.split('-').next().unwrap_or(now);
        let versions = (made_by != now).then(|| (made_by.to_owned(), now.to_owned()));
        Self {
            files: sources.into_iter().filter_map(changed).collect(),
            variables: used.into_iter().chain(passed).filter(lacking).collect(),
            versions,
        }
    }

    /// In words, with what to do.
    pub(super) fn words(&self) -> String {
        let mut why = Vec::new();
        if !self.files.is_empty() {
            let said = |(path, at): &(PathBuf, Timestamp)| {
                format!("{} ({})", path.display(), at.strftime("%Y-%m-%d %H:%M:%S UTC"))
            };
            let files: Vec<String> = self.files.iter().map(said).collect();
            why.push(format!("changed since then: {}", files.join(", ")));
        }
        if !self.variables.is_empty() {
            let names: Vec<&str> = self.variables.iter().map(String::as_str).collect();
            why.push(format!(
                "used by the files, and neither in .env nor in rollbackd's environment: {}",
                names.join(", ")
            ));
        }
        if let Some((then, now)) = &self.versions {
            why.push(format!("it was deployed by Compose {then}, and {now} is here"));
        }
        if why.is_empty() {
            why.push("neither a file nor a variable tells why: it may have been deployed from another directory or with a profile".to_owned());
        }
        why.join("; ")
    }
}

/// The files that variables are read from.
fn variable_files(setup: &Setup) -> Vec<PathBuf> {
    if setup.env_files.is_empty() { vec![setup.dir.join(".env")] } else { setup.env_files.clone() }
}

/// The variables that those files give.
fn given(setup: &Setup) -> BTreeMap<String, PathBuf> {
    let mut given = BTreeMap::new();
    for path in variable_files(setup) {
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            let line = line.trim().trim_start_matches("export ");
            if let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                given.insert(name.trim().to_owned(), path.clone());
            }
        }
    }
    given
}

/// The variables in a Compose file: `$NAME`, `${NAME}`, `${NAME:-...}`; `$$` is a
/// dollar.
fn variables_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut rest = line;
        while let Some(at) = rest.find('$') {
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                rest = after;
                continue;
            }
            let name = rest.strip_prefix('{').unwrap_or(rest);
            let name: String = name.chars().take_while(|c| is_name(*c)).collect();
            if name.starts_with(|c: char| !c.is_ascii_digit()) {
                found.push(name);
            }
        }
    }
    found
}

/// The variables that a file hands on by name alone, under `environment:`.
fn passed_on(text: &str) -> Vec<String> {
    below(text, "environment:", |item| {
        let name = item.strip_prefix("- ").or_else(|| item.strip_suffix(':')).unwrap_or_default();
        let name = unquoted(name);
        let fits = !name.is_empty() && name.chars().all(is_name);
        fits.then(|| name.to_owned())
    })
}

/// The files that are named under `env_file:`, as they are written.
fn env_files_in(text: &str) -> Vec<PathBuf> {
    let alone = text.lines().filter_map(|line| {
        let file = unquoted(line.trim().strip_prefix("env_file:")?);
        (!file.is_empty() && !file.starts_with(['[', '#'])).then(|| PathBuf::from(file))
    });
    let listed = below(text, "env_file:", |item| {
        let item = item.strip_prefix("- ").unwrap_or(item).trim();
        let file = unquoted(item.strip_prefix("path:").unwrap_or(item));
        (!file.is_empty() && !file.starts_with("required:")).then(|| PathBuf::from(file))
    });
    let inline = text.lines().filter_map(|line| {
        let list = line.trim().strip_prefix("env_file:")?.trim().strip_prefix('[')?;
        Some(list.trim_end_matches(']').split(',').map(|file| PathBuf::from(unquoted(file))))
    });
    alone.chain(listed).chain(inline.flatten()).filter(|file| file != Path::new("")).collect()
}

/// What is found in the lines that a key has below it.
fn below<T>(text: &str, key: &str, find: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    let mut inside: Option<usize> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (deep, item) = (indent(line), line.trim());
        // A list may stand as deep as its key.
        if inside.is_some_and(|at| deep > at || (deep == at && item.starts_with("- "))) {
            found.extend(find(item));
        } else {
            inside = (item == key).then_some(deep);
        }
    }
    found
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_all_their_spellings() {
        let text = "image: shop:${TAG}\n# ${COMMENT}\ncommand: $A ${B:-x} ${C-${D}} $$E $${F} $1 ${G?no}\n";
        assert_eq!(variables_in(text), ["TAG", "A", "B", "C", "D", "G"]);
    }

    #[test]
    fn what_is_handed_on_by_name_alone_is_a_variable_too() {
        let list = "web:\n  environment:\n    - TOKEN\n    - A=1\n  ports:\n    - HERE\n";
        assert_eq!(passed_on(list), ["TOKEN"]);
        let map = "web:\n  environment:\n    TOKEN:\n    A: 1\n  labels:\n    X:\n";
        assert_eq!(passed_on(map), ["TOKEN"]);
    }

    #[test]
    fn files_with_variables_are_found_in_all_their_spellings() {
        let files = |text| -> Vec<String> {
            env_files_in(text).iter().map(|file| file.display().to_string()).collect()
        };
        assert_eq!(files("  env_file: web.env\n"), ["web.env"]);
        assert_eq!(files("  env_file: [a.env, \"b.env\"]\n"), ["a.env", "b.env"]);
        let list =
            "  env_file:\n    - a.env\n    - path: ./b.env\n      required: false\n  image: x\n";
        assert_eq!(files(list), ["a.env", "./b.env"]);
    }

    #[test]
    fn nothing_found_is_said_to_be_nothing() {
        let words = Drift::default().words();
        assert!(words.starts_with("neither a file nor a variable tells why"), "{words}");
    }
}
