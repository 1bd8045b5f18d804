//! How the model answers a call: faults first, then what it would do, with the
//! statuses and messages of the engine.

use serde_json::{Value, json};

use super::{
    super::{call::Call, error::DockerError},
    document,
    world::{Refusal, World},
};

impl World {
    pub(super) fn answer(&mut self, call: &Call<'_>) -> Result<Value, DockerError> {
        self.reachable()?;
        if let Some(at) = self.faults.iter().position(|(name, _)| *name == call.name()) {
            return Err(self.faults.remove(at).1);
        }
        self.done(call)
            .map_err(|(status, message)| DockerError::refused(call.name(), status, &message))
    }

    fn done(&mut self, call: &Call<'_>) -> Result<Value, Refusal> {
        let nothing = |()| Value::Null;
        match *call {
            Call::Version => {
                Ok(json!({ "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12" }))
            }
            Call::Containers(label) => Ok(self.list(label)),
            Call::Container(id) => {
                let at = self.index(id)?;
                Ok(self.inspect(&self.containers[at]))
            }
            Call::Create { name, body } => {
                let id = self.create(name, body)?;
                Ok(json!({ "Id": id, "Warnings": [] }))
            }
            Call::Start(id) => self.start(id).map(nothing),
            Call::Stop { id, .. } => self.stop(id).map(nothing),
            Call::Kill(id) => self.kill(id).map(nothing),
            Call::Rename { id, name } => self.rename(id, name).map(nothing),
            Call::Remove { id, volumes, force } => self.remove(id, volumes, force).map(nothing),
            Call::Update { id, body } => self.update(id, body).map(nothing),
            Call::Connect { network, body } => self.connect(network, body).map(nothing),
            Call::Disconnect { network, body } => self.disconnect(network, body).map(nothing),
            Call::Image(reference) => self.find_image(reference).map(document::image),
            Call::Images(repository) => Ok(self.list_images(repository)),
            Call::Tag { image, repository, tag } => self.tag(image, repository, tag).map(nothing),
            Call::Untag(reference) => self.untag(reference).map(nothing),
            Call::Pull(reference) => self.pull(reference).map(nothing),
            Call::Stats(id) => {
                let at = self.index(id)?;
                Ok(self.stats(&self.containers[at]))
            }
            Call::Network(name) => {
                let name = self.find_network(name)?;
                Ok(json!({ "Name": name, "Id": self.networks[&name].id }))
            }
            Call::Volume(name) if self.volumes.contains(name) => Ok(json!({ "Name": name })),
            Call::Volume(name) => Err((404, format!("get {name}: no such volume"))),
        }
    }
}
