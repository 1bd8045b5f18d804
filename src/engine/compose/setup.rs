//! Where Compose finds what a service was deployed from: as the configuration
//! says, else as Compose itself wrote it on the containers.

use std::path::{Path, PathBuf};

use rollbackd_core::words::{ProjectName, ServiceName};

use super::{Compose, overlay};
use crate::{
    config::settings::ComposeFiles, docker::container::Container, engine::error::EngineError,
};

/// What Compose is told before its command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) project: ProjectName,
    /// The project's own directory.
    pub(super) dir: PathBuf,
    /// The Compose files that people wrote.
    pub(super) files: Vec<PathBuf>,
    /// The file of ours that the container was deployed with besides.
    pub(super) ours: Option<PathBuf>,
    /// What `--env-file` names; none where the project's own `.env` is read.
    pub(super) env_files: Vec<PathBuf>,
    profiles: Vec<String>,
}

impl Compose {
    /// What a container was deployed from.
    pub(super) fn setup(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        record: &Container,
    ) -> Result<Setup, EngineError> {
        let configured = self.calls.files.borrow().get(project).cloned().unwrap_or_default();
        let ours = overlay::folder(&self.state_dir);
        Setup::of(project, record, &configured, &ours)
            .map_err(|why| EngineError::Unchecked { service: service.clone(), why })
    }
}

impl Setup {
    fn of(
        project: &ProjectName,
        record: &Container,
        configured: &ComposeFiles,
        overlays: &Path,
    ) -> Result<Self, String> {
        let dir = configured.dir.clone().or_else(|| record.working_dir());
        let dir = dir.ok_or("its directory is not known; write `dir` for the project")?;
        let written = |paths: &[PathBuf]| paths.iter().map(|path| dir.join(path)).collect();
        let (ours, theirs): (Vec<PathBuf>, Vec<PathBuf>) =
            record.config_files().into_iter().partition(|file| file.starts_with(overlays));
        let files: Vec<PathBuf> =
            if configured.files.is_empty() { theirs } else { written(&configured.files) };
        let env_files = if configured.env_files.is_empty() {
            record.environment_files()
        } else {
            written(&configured.env_files)
        };
        if files.is_empty() {
            return Err("its Compose files are not known; write `files` for the project".into());
        }
        let ours = ours.into_iter().next();
        if let Some(gone) = files.iter().chain(&env_files).chain(&ours).find(|file| !file.is_file())
        {
            let gone = gone.display();
            return Err(format!(
                "{gone} is not there, or rollbackd may not see it; put it there, or write `dir` and `files` for the project"
            ));
        }
        let (project, profiles) = (project.clone(), configured.profiles.clone());
        Ok(Self { project, dir, files, ours, env_files, profiles })
    }

    /// The same from one file alone, which has everything in it.
    pub(super) fn of_one_file(&self, file: &Path) -> Self {
        let (files, env_files) = (vec![file.to_owned()], Vec::new());
        Self { files, env_files, ours: None, ..self.clone() }
    }

    /// The words before Compose's command. With `overlay` that file stands in
    /// place of the one of ours that was used last.
    pub(super) fn words(&self, overlay: Option<&Path>) -> Vec<String> {
        let mut words = vec!["--project-directory".to_owned(), shown(&self.dir)];
        words.extend(["-p".to_owned(), self.project.to_string()]);
        let last = overlay.or(self.ours.as_deref());
        for file in self.files.iter().map(PathBuf::as_path).chain(last) {
            words.extend(["-f".to_owned(), shown(file)]);
        }
        for file in &self.env_files {
            words.extend(["--env-file".to_owned(), shown(file)]);
        }
        for profile in &self.profiles {
            words.extend(["--profile".to_owned(), profile.clone()]);
        }
        words
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::docker::labels;

    fn deployed(dir: &Path, files: &str, env_file: Option<&str>) -> Container {
        let mut labels = json!({ labels::WORKING_DIR: dir, labels::CONFIG_FILES: files });
        if let Some(file) = env_file {
            labels[labels::ENVIRONMENT_FILE] = file.into();
        }
        Container::read(json!({ "Id": "a", "Config": { "Labels": labels } })).unwrap()
    }

    #[test]
    fn what_is_not_written_is_read_from_the_labels() {
        let home = tempfile::tempdir().unwrap();
        let (dir, state) = (home.path().join("shop"), home.path().join("state"));
        for folder in [&dir, &state] {
            fs::create_dir(folder).unwrap();
        }
        let own = state.join("shop.web.7.yml");
        let prod = home.path().join("prod.env");
        for file in [&dir.join("a.yml"), &dir.join("b.yml"), &own, &prod] {
            fs::write(file, "").unwrap();
        }
        let shop = ProjectName::new("shop");
        let files = format!("a.yml,{}", own.display());
        let record = deployed(&dir, &files, prod.to_str());
        let setup = Setup::of(&shop, &record, &ComposeFiles::default(), &state).unwrap();
        let at = |path: &Path| path.display().to_string();
        let expected = format!(
            "--project-directory {0} -p shop -f {0}/a.yml -f {1} --env-file {2}",
            at(&dir),
            at(&own),
            at(&prod)
        );
        assert_eq!(setup.words(None).join(" "), expected);
        let next = setup.words(Some(Path::new("/next.yml"))).join(" ");
        assert_eq!(next, expected.replace(&at(&own), "/next.yml"));

        let configured = ComposeFiles {
            dir: None,
            files: vec!["b.yml".into()],
            env_files: Vec::new(),
            profiles: vec!["production".into()],
        };
        let setup = Setup::of(&shop, &deployed(&dir, "a.yml", None), &configured, &state).unwrap();
        let expected =
            format!("--project-directory {0} -p shop -f {0}/b.yml --profile production", at(&dir));
        assert_eq!(setup.words(None).join(" "), expected);
    }

    #[test]
    fn what_cannot_be_known_or_is_gone_is_told_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let (shop, none) = (ProjectName::new("shop"), ComposeFiles::default());
        let of = |record: &Container| {
            Setup::of(&shop, record, &none, Path::new("/nowhere")).unwrap_err()
        };
        let unlabelled = Container::read(json!({ "Id": "a" })).unwrap();
        assert!(of(&unlabelled).contains("write `dir`"));
        assert!(of(&deployed(home.path(), "", None)).contains("write `files`"));
        let why = of(&deployed(home.path(), "compose.yml", None));
        assert!(why.starts_with(&format!("{}/compose.yml is not there", home.path().display())));
    }
}
