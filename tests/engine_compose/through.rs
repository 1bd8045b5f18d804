//! An image that never ran here, through the real Compose: by the service's own
//! tag or by a file beside the person's, with nothing else changed; and not at
//! all where the files or variables are others than those it was deployed with.

use std::{fs, os::unix::fs::PermissionsExt, panic::AssertUnwindSafe, time::Duration};

use rollbackd::host::{command::Command, death};
use rollbackd_core::{
    plan::{Does, Fault, Replaced, StepOutcome},
    revision::ServiceRecord,
    settings::Order,
    words::ImageId,
};

use crate::{
    PLAIN,
    stage::{Stage, assert_same, recreate},
    support::engine::compose::Tool,
};

/// The step that gives a service an image.
fn deploy(record: &ServiceRecord, reference: &str, image: ImageId) -> Does {
    Does::Compose {
        service: record.name.clone(),
        reference: reference.to_owned(),
        image,
        scale: record.containers.len().try_into().unwrap(),
        replaces: Replaced { image: record.image_id, containers: record.containers.clone() },
    }
}

/// The steps that make what ran again.
async fn undo(stage: &Stage, record: &ServiceRecord, tried: ImageId) {
    let (service, reference) = (record.name.clone(), record.image.clone());
    let (along, image) = (Vec::new(), record.image_id);
    stage.done(Does::Retag { service, along, reference, image }).await;
    let mut again = recreate(record, Order::StopFirst);
    if let Does::Recreate { replaces, .. } = &mut again {
        *replaces = Some(Replaced { image: tried, containers: record.containers.clone() });
    }
    stage.done(again).await;
    stage.done(Does::Discard { services: vec![record.name.clone()] }).await;
}

impl Stage {
    /// An image that has this tag and no container.
    fn other(&self, tag: &str) -> (String, ImageId) {
        let image = self.build("web", &[]);
        let reference = format!("{}/web:{tag}", self.project);
        self.docker(&["tag", &image.to_string(), &reference]);
        (reference, image)
    }

    /// What a reference names.
    async fn names(&self, reference: &str) -> Option<ImageId> {
        self.docker.image(reference).await.unwrap().map(|image| image.id)
    }

    /// The person's next plain `up` leaves a container alone.
    async fn up_changes_nothing(&self, service: &str) {
        let before = self.container(service, 1).await;
        self.up(&[]);
        assert_eq!(self.container(service, 1).await.id, before.id, "{}", before.name);
    }

    async fn refused(&self, does: Does) -> String {
        match self.run(does).await {
            StepOutcome::Failed { why, fault: Fault::World } => why,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_tag_that_is_the_services_own_is_moved_and_compose_finds_nothing_to_do() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let (reference, wanted) = stage.other("previous");
        stage.build("web", &["ENV VERSION=2"]);
        stage.write(PLAIN);
        stage.up(&[]);
        let record = stage.record("web").await;
        let said = stage.done(deploy(&record, &reference, wanted)).await;
        assert_eq!(said, format!("{} names {} now", stage.reference("web"), wanted.short()));
        stage.done(Does::WaitHealthy { services: vec!["web".into()] }).await;
        let runs = stage.container("web", 1).await;
        assert_eq!(runs.image_id, Some(wanted), "{tool:?}");
        assert_eq!(runs.name, tool.container(stage.project.as_str(), "web", 1));
        assert_eq!(stage.all().await.len(), 1);
        stage.up_changes_nothing("web").await;
        // Run again, it is done already.
        assert_eq!(stage.done(deploy(&record, &reference, wanted)).await, "web already runs it");
    }
}

#[tokio::test]
async fn a_tag_that_two_services_share_is_left_where_it_is() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let (reference, wanted) = stage.other("previous");
        let ran = stage.build("web", &[]);
        stage
            .write(&format!("{PLAIN}  api:\n    image: $PROJECT/web:latest\n    command: [run]\n"));
        stage.up(&[]);
        let (record, api) = (stage.record("web").await, stage.container("api", 1).await);
        let said = stage.done(deploy(&record, &reference, wanted)).await;
        assert!(said.contains(&format!("for api was started by {} too", record.image)), "{said}");
        assert_eq!(stage.container("web", 1).await.image_id, Some(wanted));
        assert_eq!(stage.container("api", 1).await.id, api.id, "the other one was not touched");
        assert_eq!(stage.names(&record.image).await, Some(ran));
        let files = fs::read_dir(stage.folder.path().join("state/compose")).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);

        // From there to yet another one, by its ID; and the person's own `up`
        // brings back what their file says.
        let (_, other) = stage.other("older");
        stage.docker(&["tag", &ran.to_string(), &record.image]);
        let now = stage.record("web").await;
        stage.done(deploy(&now, &other.to_string(), other)).await;
        assert_eq!(stage.container("web", 1).await.image_id, Some(other));
        stage.up(&[]);
        assert_eq!(stage.container("web", 1).await.image_id, Some(ran));
        assert_eq!(stage.container("api", 1).await.id, api.id);
    }
}

#[tokio::test]
async fn a_version_is_never_moved() {
    let stage = Stage::new(Tool::all()[0]);
    let (older, wanted) = stage.other("1.1");
    let (newer, ran) = stage.other("1.2");
    stage.write(&PLAIN.replace("web:latest", "web:1.2"));
    stage.up(&[]);
    let record = stage.record("web").await;
    let said = stage.done(deploy(&record, &older, wanted)).await;
    assert!(said.ends_with(&format!("{newer} is a version, which does not move")), "{said}");
    let runs = stage.container("web", 1).await;
    assert_eq!((runs.image_id, runs.image), (Some(wanted), older));
    assert_eq!(stage.names(&newer).await, Some(ran));
}

#[tokio::test]
async fn as_many_containers_run_as_ran_before() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let (reference, wanted) = stage.other("previous");
        stage.build("web", &[]);
        stage.write(PLAIN);
        stage.up(&["--scale", "web=3"]);
        let record = stage.record("web").await;
        assert_eq!(record.containers.len(), 3);
        stage.done(deploy(&record, &reference, wanted)).await;
        let now = stage.record("web").await;
        assert_eq!((now.containers.len(), now.image_id), (3, wanted), "{tool:?}");
        let all = stage.all().await;
        assert!(all.len() == 3 && all.values().all(|state| state == "running"), "{all:?}");
    }
}

#[tokio::test]
async fn variables_of_the_deployers_shell_are_named_and_nothing_is_changed() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let (reference, wanted) = stage.other("previous");
        stage.build("web", &[]);
        stage.write(&format!(
            "{PLAIN}    environment: [\"PASSWORD=${{RBD_TEST_PASSWORD}}\", \"A=${{RBD_TEST_GIVEN}}\"]\n"
        ));
        fs::write(stage.folder.path().join(".env"), "RBD_TEST_GIVEN=1\n").unwrap();
        let (project, folder) = (stage.project.as_str(), stage.folder.path());
        let shell = [("RBD_TEST_PASSWORD", "hunter22")];
        let deployed = tool.run_with(&shell, project, folder, &["up", "-d"]);
        assert!(deployed.status.success(), "{deployed:?}");
        let record = stage.record("web").await;
        let why = stage.refused(deploy(&record, &reference, wanted)).await;
        assert!(why.starts_with("Compose would not deploy web here as it was deployed"), "{why}");
        assert!(why.contains("nor in rollbackd's environment: RBD_TEST_PASSWORD;"), "{why}");
        assert!(!why.contains("RBD_TEST_GIVEN") && !why.contains("hunter22"), "{why}");
        assert_eq!(stage.record("web").await, record, "{tool:?}");
        assert_ne!(stage.names(&record.image).await, Some(wanted));
    }
}

#[tokio::test]
async fn a_file_that_was_edited_since_is_named_and_nothing_is_changed() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let (reference, wanted) = stage.other("previous");
        stage.build("web", &[]);
        stage.write(&format!("{PLAIN}    env_file: web.env\n"));
        let variables = stage.folder.path().join("web.env");
        fs::write(&variables, "COLOUR=blue\n").unwrap();
        stage.up(&[]);
        let record = stage.record("web").await;
        fs::write(&variables, "COLOUR=red\n").unwrap();
        let why = stage.refused(deploy(&record, &reference, wanted)).await;
        assert!(why.contains(&format!("changed since then: {}", variables.display())), "{why}");
        assert!(!why.contains("compose.yml"), "that one is as it was: {why}");
        assert_eq!(stage.record("web").await, record, "{tool:?}");

        // Taken back, it may be done.
        fs::write(&variables, "COLOUR=blue\n").unwrap();
        stage.done(deploy(&record, &reference, wanted)).await;
        assert_eq!(stage.container("web", 1).await.image_id, Some(wanted));
    }
}

#[tokio::test]
async fn what_it_depends_on_is_not_changed_along() {
    let stage = Stage::new(Tool::all()[0]);
    let (reference, wanted) = stage.other("previous");
    stage.build("web", &[]);
    stage.build("db", &[]);
    stage.write(&format!(
        "{PLAIN}    depends_on: [db]\n  db:\n    image: $PROJECT/db:latest\n    command: [run]\n"
    ));
    stage.up(&[]);
    let (record, db) = (stage.record("web").await, stage.container("db", 1).await);
    stage.done(deploy(&record, &reference, wanted)).await;
    stage.up_changes_nothing("web").await;
    assert_eq!(stage.container("db", 1).await.id, db.id);

    // Built and not deployed: a plain `up` would deploy it now.
    stage.build("db", &[]);
    let (reference, older) = stage.other("older");
    stage.docker(&["tag", &wanted.to_string(), &record.image]);
    let said = stage.done(deploy(&stage.record("web").await, &reference, older)).await;
    assert!(said.contains("db would have changed too and was left"), "{said}");
    assert_eq!(stage.container("web", 1).await.image_id, Some(older));
    assert_eq!(stage.container("db", 1).await.id, db.id);
}

#[tokio::test]
async fn what_a_tool_made_without_compose_is_replaced_too() {
    let stage = Stage::new(Tool::V2);
    let wanted = stage.build("web", &[]);
    stage.write(PLAIN);
    stage.up(&[]);
    // As one that pulls does: another image, and the labels of the first.
    let ran = stage.container("web", 1).await;
    let newer = stage.build("web", &[]);
    stage.docker(&["rm", "-f", &ran.name]);
    let labels: Vec<String> =
        ran.labels().iter().map(|(name, value)| format!("--label={name}={value}")).collect();
    let words = ["run", "-d", "--restart=always", "--name", &ran.name];
    let words = words.iter().copied().chain(labels.iter().map(String::as_str));
    let reference = stage.reference("web");
    let network = format!("--network={}_default", stage.project);
    let words: Vec<&str> = words.chain([network.as_str(), &reference, "run"]).collect();
    stage.docker(&words);
    let record = stage.record("web").await;
    assert_eq!(record.image_id, newer);
    stage.done(deploy(&record, &wanted.to_string(), wanted)).await;
    assert_eq!(stage.container("web", 1).await.image_id, Some(wanted));
}

#[tokio::test]
async fn an_image_that_cannot_run_is_its_own_fault_and_what_ran_is_made_again() {
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        let broken = stage.build("web", &[r#"ENTRYPOINT ["/nope"]"#]);
        stage.build("web", &[]);
        stage.write(PLAIN);
        stage.up(&[]);
        let (record, ran) = (stage.record("web").await, stage.container("web", 1).await);
        let failed = stage.run(deploy(&record, &broken.to_string(), broken)).await;
        assert!(matches!(failed, StepOutcome::Failed { fault: Fault::Target, .. }), "{failed:?}");
        undo(&stage, &record, broken).await;
        stage.done(Does::WaitHealthy { services: vec!["web".into()] }).await;
        assert_same(&stage.container("web", 1).await, &ran);
        assert_eq!(stage.all().await.len(), 1, "{tool:?}");
        stage.up_changes_nothing("web").await;
    }
}

#[tokio::test]
async fn what_an_earlier_run_left_running_is_ended_before_anything_else_is_done() {
    let stage = Stage::new(Tool::all()[0]);
    let words = ["sleep", "600"].map(str::to_owned).to_vec();
    let left = Command::new(words, Duration::from_secs(60)).hold("left").unwrap();
    stage.store.command_began(&stage.project, left.group()).await.unwrap();
    let running = tokio::spawn(left.run());
    tokio::task::yield_now().await;
    stage.done(Does::Discard { services: Vec::new() }).await;
    let ended = running.await.unwrap();
    assert!(ended.is_err() || ended.is_ok_and(|ended| ended.how == "signal 15"));
    assert_eq!(stage.store.command(&stage.project).await.unwrap(), None);
}

/// Dying unwinds here, and takes the Compose that runs along; the daemon's own
/// tests leave it running.
#[test]
fn killed_around_compose_it_is_finished_or_undone_by_running_it_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for tool in Tool::all() {
        let stage = Stage::new(tool);
        stage.write(PLAIN);
        let mut dies = Vec::new();
        for round in 0.. {
            let (_, wanted) = stage.other("previous");
            stage.build("web", &[]);
            stage.up(&[]);
            let record = runtime.block_on(stage.record("web"));
            let step = || deploy(&record, &wanted.to_string(), wanted);
            // The first round only counts; of the others each dies at one of
            // the last boundaries: those of the tag, of `up` and after it.
            let armed = death::arm(if round == 0 { 0 } else { dies[round - 1] });
            let died =
                std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(stage.done(step()))));
            assert_eq!(died.is_err(), round > 0, "{tool:?}, round {round}");
            drop(armed);
            if round == 0 {
                let passed = death::passed();
                let last = passed.len() as u64;
                assert!(passed.iter().any(|name| name == "spawn released"), "{passed:?}");
                dies = (last - 4..=last).collect();
            }
            if round % 2 == 0 {
                runtime.block_on(stage.done(step()));
                assert_eq!(runtime.block_on(stage.record("web")).image_id, wanted);
            } else {
                runtime.block_on(undo(&stage, &record, wanted));
                let now = runtime.block_on(stage.record("web"));
                assert_eq!(now.fingerprint, record.fingerprint, "{tool:?}, round {round}");
            }
            let all = runtime.block_on(stage.all());
            assert!(all.len() == 1 && all.values().all(|state| state == "running"), "{all:?}");
            assert!(all.contains_key(&tool.container(stage.project.as_str(), "web", 1)), "{all:?}");
            if round == dies.len() {
                break;
            }
        }
    }
}
