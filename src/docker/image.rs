//! An image as the engine describes it, and references as people write them.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::words::ImageId;
use serde_json::Value;

use super::{error::DockerError, labels::strings};

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its identity.
    pub id: ImageId,
    /// The tags that name it, as `shop:latest`; empty when it is dangling.
    pub tags: Vec<String>,
    /// The registry digests it is known by, as `shop@sha256:...`.
    pub digests: Vec<String>,
    /// Its own labels.
    pub labels: BTreeMap<String, String>,
    /// Bytes of its layers.
    pub size: u64,
    /// The paths that it declares as volumes: each container of it gets an
    /// anonymous volume there unless something else is mounted.
    pub volumes: BTreeSet<String>,
}

impl Image {
    /// Its registry digests alone (`sha256:...`), sorted, each once.
    #[must_use]
    pub fn registry_digests(&self) -> Vec<String> {
        let digests = self.digests.iter().filter_map(|name| Reference::read(name)?.digest);
        digests.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Reads an image's inspect document.
    ///
    /// # Errors
    /// [`DockerError::Unreadable`] when its ID is no digest.
    pub(super) fn read(document: &Value) -> Result<Self, DockerError> {
        let Some(id) = document["Id"].as_str().and_then(|id| id.parse().ok()) else {
            let why = "an image whose ID is no sha256 digest".to_owned();
            return Err(DockerError::Unreadable { call: "docker.image", why });
        };
        let texts = |field: &str| -> Vec<String> {
            let list = document[field].as_array().into_iter().flatten();
            list.filter_map(|text| Some(text.as_str()?.to_owned()))
                // What older engines say of an image without a name.
                .filter(|text| !text.starts_with("<none>"))
                .collect()
        };
        let volumes = document["Config"]["Volumes"].as_object().into_iter().flatten();
        Ok(Self {
            id,
            tags: texts("RepoTags"),
            digests: texts("RepoDigests"),
            labels: strings(&document["Config"]["Labels"]),
            size: document["Size"].as_u64().unwrap_or(0),
            volumes: volumes.map(|(path, _)| path.clone()).collect(),
        })
    }
}

/// The tags of one repository in a list of images, and what each names.
pub(super) fn tags_of(images: &Value, repository: &str) -> Vec<(String, ImageId)> {
    let mut tags = Vec::new();
    for image in images.as_array().into_iter().flatten() {
        let Some(id) = image["Id"].as_str().and_then(|id| id.parse().ok()) else { continue };
        let names = image["RepoTags"].as_array().into_iter().flatten();
        let ours = names
            .filter_map(Value::as_str)
            .filter(|name| name.strip_prefix(repository).is_some_and(|tag| tag.starts_with(':')));
        tags.extend(ours.map(|name| (name.to_owned(), id)));
    }
    tags.sort();
    tags
}

/// An image reference taken apart, in the short form that people write:
/// `docker.io/library/shop` is `shop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The repository, as `shop` or `registry.example.com:5000/team/shop`.
    pub repository: String,
    /// The tag; `latest` when neither tag nor digest was written.
    pub tag: Option<String>,
    /// The digest, as `sha256:...`.
    pub digest: Option<String>,
}

impl Reference {
    /// Takes a reference apart. `None` for an image ID (with or without
    /// `sha256:`, 64 digits) and for nothing: those name no repository.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = bare.len() == 64 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.is_empty() || is_id {
            return None;
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before the last slash is a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let name = name.strip_prefix("index.docker.io/").unwrap_or(name);
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        let repository = name.strip_prefix("library/").unwrap_or(name).to_owned();
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        (!repository.is_empty()).then_some(Self { repository, tag, digest })
    }

    /// Does its name begin with a registry's? `shop` alone is one of whoever has
    /// that name at the public one.
    #[must_use]
    pub fn names_a_registry(&self) -> bool {
        let host = self.repository.split_once('/').map(|(host, _)| host);
        host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost")
    }

    /// Is its tag one that is given once, rather than moved to each new image?
    /// One with a digit is: `1.2`, `v3`, `2026-11-21`, a commit.
    #[must_use]
    pub fn is_version(&self) -> bool {
        self.tag.as_ref().is_some_and(|tag| tag.bytes().any(|byte| byte.is_ascii_digit()))
    }

    /// Both texts name the same: `shop` and `docker.io/library/shop:latest`.
    #[must_use]
    pub fn same(one: &str, other: &str) -> bool {
        one == other || Self::read(one).is_some_and(|read| Self::read(other) == Some(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const OTHER: &str = "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

    #[test]
    fn a_dangling_image_has_no_tags() {
        let image = Image::read(&json!({ "Id": ID, "RepoTags": ["<none>:<none>"] })).unwrap();
        assert!(image.tags.is_empty());
        assert!(Image::read(&json!({ "Id": ID, "RepoTags": null })).unwrap().tags.is_empty());
    }

    #[test]
    fn its_registry_digests_are_sorted_and_each_is_told_once() {
        let digests = json!([
            format!("b.example:5000/shop@{ID}"),
            format!("shop@{OTHER}"),
            format!("a.example/shop@{ID}"),
            "<none>@<none>",
        ]);
        let image = Image::read(&json!({ "Id": ID, "RepoDigests": digests })).unwrap();
        assert_eq!(image.registry_digests(), [ID, OTHER]);
        let without = Image::read(&json!({ "Id": ID, "RepoDigests": null })).unwrap();
        assert!(without.registry_digests().is_empty());
    }

    #[test]
    fn declared_volumes_and_labels_are_read() {
        let config = json!({ "Volumes": { "/data": {} }, "Labels": { "rollbackd.schema": "7" } });
        let image = Image::read(&json!({ "Id": ID, "Size": 12, "Config": config })).unwrap();
        assert!(image.volumes.contains("/data"));
        assert_eq!(image.labels["rollbackd.schema"], "7");
        assert_eq!(image.size, 12);
    }

    #[test]
    fn a_reference_is_taken_apart() {
        let read = |text: &str| {
            Reference::read(text).map(|read| (read.repository, read.tag, read.digest.is_some()))
        };
        let tagged = |name: &str, tag: &str| Some((name.to_owned(), Some(tag.to_owned()), false));
        assert_eq!(read("shop"), tagged("shop", "latest"));
        assert_eq!(read("docker.io/library/shop:v2"), tagged("shop", "v2"));
        assert_eq!(read("127.0.0.1:5000/shop"), tagged("127.0.0.1:5000/shop", "latest"));
        assert_eq!(read("127.0.0.1:5000/shop:v2"), tagged("127.0.0.1:5000/shop", "v2"));
        assert_eq!(read(&format!("shop@{ID}")), Some(("shop".to_owned(), None, true)));
        assert_eq!(read(ID), None);
        assert_eq!(read(&ID[7..]), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_registry_and_a_version_are_told_from_their_looks() {
        let read = |text: &str| Reference::read(text).unwrap();
        for far in ["127.0.0.1:5000/shop", "localhost/shop:v1", "ghcr.io/team/shop"] {
            assert!(read(far).names_a_registry(), "{far}");
        }
        for near in ["shop", "team/shop:latest", "docker.io/team/shop"] {
            assert!(!read(near).names_a_registry(), "{near}");
        }
        for version in ["shop:1.2", "shop:v3", "shop:3f2a9c1"] {
            assert!(read(version).is_version(), "{version}");
        }
        for moves in ["shop", "shop:latest", "shop:previous", "127.0.0.1:5000/shop:stable"] {
            assert!(!read(moves).is_version(), "{moves}");
        }
    }

    #[test]
    fn one_image_has_many_spellings() {
        assert!(Reference::same("shop", "docker.io/library/shop:latest"));
        assert!(!Reference::same("shop:v1", "shop:v2"));
        assert!(!Reference::same("shop", "team/shop"));
        assert!(Reference::same(ID, ID));
    }
}
