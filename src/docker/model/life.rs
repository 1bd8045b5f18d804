//! The life of the model's containers: start, stop, kill, remove, rename, what
//! their programs and their restart policies do.

use serde_json::Value;

use super::{
    Behaviour,
    world::{Refusal, Status, World},
};

/// What the engine says of a program that is not there.
const NO_PROGRAM: &str = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process";

impl World {
    pub(super) fn start(&mut self, id: &str) -> Result<(), Refusal> {
        let at = self.index(id)?;
        if self.containers[at].status == Status::Running {
            return Ok(());
        }
        self.containers[at].stopped_by_hand = false;
        self.containers[at].restarts = 0;
        self.run(at)
    }

    /// One run of a container's program, begun by a person or its policy.
    fn run(&mut self, at: usize) -> Result<(), Refusal> {
        let began = self.begin(at);
        if let Err((code, (status, message))) = began {
            self.leave_networks(at);
            let made = &mut self.containers[at];
            made.status = if made.started.is_some() { Status::Exited } else { Status::Created };
            made.exit_code = code;
            made.error.clone_from(&message);
            return Err((status, message));
        }
        let started = self.date();
        let made = &mut self.containers[at];
        made.status = Status::Running;
        made.started = Some(started);
        (made.exit_code, made.oom) = (0, false);
        made.error.clear();
        made.health = None;
        self.tell(at, "start", &[]);
        self.behave(at);
        Ok(())
    }

    /// What must go well before a program runs; else the exit code and why.
    fn begin(&mut self, at: usize) -> Result<(), (i64, Refusal)> {
        let world = |refusal| (128, refusal);
        self.joined_runs(at).map_err(world)?;
        self.join_networks(at).map_err(world)?;
        self.bind_ports(at).map_err(world)?;
        let program = self.containers[at].program();
        let program = program.first().cloned().unwrap_or_default();
        if self.behaviour(at) == Behaviour::CannotExecute || program.starts_with("/nope") {
            let why = format!("stat {program}: no such file or directory: unknown");
            return Err((127, (400, format!("{NO_PROGRAM}: exec: \"{program}\": {why}"))));
        }
        Ok(())
    }

    /// The container in whose namespaces it lives must run.
    fn joined_runs(&self, at: usize) -> Result<(), Refusal> {
        let host = &self.containers[at].host;
        for mode in ["NetworkMode", "IpcMode", "PidMode"] {
            let Some(other) = host[mode].as_str().and_then(|mode| mode.strip_prefix("container:"))
            else {
                continue;
            };
            let joined = &self.containers[self.index(other)?];
            if joined.status != Status::Running {
                let why = format!("cannot join network of a non running container: {}", joined.id);
                return Err((409, why));
            }
        }
        Ok(())
    }

    /// What the program does, once it runs.
    fn behave(&mut self, at: usize) {
        let behaviour = self.behaviour(at);
        if let Behaviour::Exits(code) = behaviour {
            self.end(at, code, false);
            return;
        }
        let test = &self.containers[at].config["Healthcheck"]["Test"];
        let checks =
            test.as_array().is_some_and(|test| test.first().is_some_and(|word| word != "NONE"));
        if checks {
            let healthy = behaviour != Behaviour::Unhealthy;
            self.judge(at, healthy, if healthy { 0 } else { 3 });
        }
    }

    /// The program of the container's image; its own words may say otherwise.
    fn behaviour(&self, at: usize) -> Behaviour {
        let made = &self.containers[at];
        let words = made.program();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["/app", "exit", code] => Behaviour::Exits(code.parse().unwrap_or(0)),
            // A program that was mounted into it: an anchor's.
            ["/rollbackd-anchor"] => Behaviour::Runs,
            ["/app", "stubborn"] => Behaviour::IgnoresSigterm,
            _ => self.images.get(&made.image).map_or(Behaviour::Runs, |image| image.behaviour),
        }
    }

    /// A program ended by itself.
    fn end(&mut self, at: usize, code: i64, oom: bool) {
        if oom {
            self.tell(at, "oom", &[]);
        }
        self.die(at, code);
        let made = &mut self.containers[at];
        made.oom = oom;
        let policy = &made.host["RestartPolicy"];
        let most = policy["MaximumRetryCount"].as_u64().unwrap_or(0);
        let again = match policy["Name"].as_str() {
            Some("always" | "unless-stopped") => true,
            Some("on-failure") => code != 0 && (most == 0 || made.restarts < most),
            _ => false,
        };
        if again {
            made.status = Status::Restarting;
        }
    }

    /// It runs no more.
    fn die(&mut self, at: usize, code: i64) {
        let finished = self.date();
        let made = &mut self.containers[at];
        made.status = Status::Exited;
        made.exit_code = code;
        made.finished = Some(finished);
        self.leave_networks(at);
        self.tell(at, "die", &[("exitCode", &code.to_string())]);
    }

    pub(super) fn stop(&mut self, id: &str) -> Result<(), Refusal> {
        let at = self.index(id)?;
        if !self.containers[at].is_up() {
            return Ok(());
        }
        self.containers[at].stopped_by_hand = true;
        if self.containers[at].status == Status::Restarting {
            self.containers[at].status = Status::Exited;
        } else {
            self.tell(at, "kill", &[("signal", "15")]);
            if self.behaviour(at) == Behaviour::IgnoresSigterm {
                self.tell(at, "kill", &[("signal", "9")]);
                self.die(at, 137);
            } else {
                self.die(at, 0);
            }
        }
        self.tell(at, "stop", &[]);
        Ok(())
    }

    pub(super) fn kill(&mut self, id: &str) -> Result<(), Refusal> {
        let at = self.index(id)?;
        let made = &mut self.containers[at];
        if made.status != Status::Running {
            let why = format!("Container {} is not running", made.id);
            return Err((409, format!("Cannot kill container: {id}: {why}")));
        }
        made.stopped_by_hand = true;
        self.tell(at, "kill", &[("signal", "9")]);
        self.die(at, 137);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str, volumes: bool, force: bool) -> Result<(), Refusal> {
        let at = self.index(id)?;
        let made = &self.containers[at];
        if made.is_up() && !force {
            let how = if made.status == Status::Running { "running" } else { "restarting" };
            let todo = "Stop the container before attempting removal or force remove";
            let why = format!("You cannot remove a {how} container {}. {todo}", made.id);
            return Err((409, why));
        }
        if made.status == Status::Running {
            self.tell(at, "kill", &[("signal", "9")]);
            self.die(at, 137);
        }
        self.tell(at, "destroy", &[]);
        let made = self.containers.remove(at);
        if volumes {
            self.remove_anonymous(&made.mounts);
        }
        Ok(())
    }

    /// Removes the anonymous volumes among these mounts that nobody else uses.
    fn remove_anonymous(&mut self, mounts: &[Value]) {
        let anonymous =
            |name: &&str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        for name in mounts.iter().filter_map(|mount| mount["Name"].as_str()).filter(anonymous) {
            let mut others = self.containers.iter().flat_map(|made| &made.mounts);
            if !others.any(|mount| mount["Name"] == name) {
                self.volumes.remove(name);
            }
        }
    }

    pub(super) fn rename(&mut self, id: &str, name: &str) -> Result<(), Refusal> {
        let at = self.index(id)?;
        if self.containers[at].name == name {
            let why = "Renaming a container with the same name as its current name";
            return Err((400, why.to_owned()));
        }
        self.name_is_free(name)?;
        let old = std::mem::replace(&mut self.containers[at].name, name.to_owned());
        self.tell(at, "rename", &[("oldName", &format!("/{old}"))]);
        Ok(())
    }

    pub(super) fn update(&mut self, id: &str, body: &Value) -> Result<(), Refusal> {
        let at = self.index(id)?;
        let host = &mut self.containers[at].host;
        for (name, value) in body.as_object().into_iter().flatten() {
            // What is empty or zero is left as it was.
            let named =
                name != "RestartPolicy" || value["Name"].as_str().is_some_and(|n| !n.is_empty());
            if named && *value != 0 && !value.is_null() {
                host[name] = value.clone();
            }
        }
        if let Some(policy) = host["RestartPolicy"].as_object_mut() {
            policy.entry("MaximumRetryCount").or_insert_with(|| 0.into());
        }
        self.tell(at, "update", &[]);
        Ok(())
    }

    fn judge(&mut self, at: usize, healthy: bool, streak: u64) {
        let before = self.containers[at].health.map(|(healthy, _)| healthy);
        self.containers[at].health = Some((healthy, streak));
        if before != Some(healthy) {
            let word = if healthy { "healthy" } else { "unhealthy" };
            self.tell(at, &format!("health_status: {word}"), &[]);
        }
    }

    pub(super) fn set_health(&mut self, name: &str, healthy: bool, streak: u64) {
        if let Ok(at) = self.index(name)
            && self.containers[at].status == Status::Running
        {
            self.judge(at, healthy, streak);
        }
    }

    pub(super) fn exit(&mut self, name: &str, code: i64, oom: bool) {
        if let Ok(at) = self.index(name)
            && self.containers[at].status == Status::Running
        {
            self.end(at, code, oom);
        }
    }

    pub(super) fn restart_round(&mut self) {
        for at in 0..self.containers.len() {
            if self.containers[at].status == Status::Restarting {
                self.containers[at].restarts += 1;
                // A failed start leaves its reason in the container.
                let _ = self.run(at);
            }
        }
    }

    /// The engine itself restarts.
    pub(super) fn restart(&mut self) {
        self.log.clear();
        self.cut();
        for at in 0..self.containers.len() {
            if self.containers[at].status == Status::Running {
                self.die(at, 0);
            } else if self.containers[at].status == Status::Restarting {
                self.containers[at].status = Status::Exited;
            }
        }
        self.log.clear();
        for at in 0..self.containers.len() {
            let made = &self.containers[at];
            let comes = match made.host["RestartPolicy"]["Name"].as_str() {
                Some("always") => made.started.is_some(),
                Some("unless-stopped") => made.started.is_some() && !made.stopped_by_hand,
                _ => false,
            };
            if comes {
                self.containers[at].restarts = 0;
                // As above.
                let _ = self.run(at);
            }
        }
    }

    pub(super) fn use_up(&mut self, name: &str, cpu_nanos: u64, memory: u64) {
        if let Ok(at) = self.index(name) {
            self.containers[at].used = (cpu_nanos, memory);
        }
    }
}
