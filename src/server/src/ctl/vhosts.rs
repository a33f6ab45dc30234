//! Commands about vhosts.

use serde_json::{Map, Value, json};

use super::{
    VhostMetadata,
    client::segment,
    commands::{Context, missing},
    error::Error,
};

impl Context<'_> {
    pub(super) fn add_vhost(&self, name: &str, metadata: &VhostMetadata) -> Result<(), Error> {
        self.output.remark(&format!("Adding vhost \"{name}\""));
        if self.client.exists(&path(name))? {
            return Err(Error::Refused { status: 400, reason: format!("Virtual host '{name}' already exists") });
        }
        self.client.put(&path(name), &Value::Object(to_json(metadata)))
    }

    pub(super) fn update_vhost_metadata(&self, name: &str, metadata: &VhostMetadata) -> Result<(), Error> {
        let changes = to_json(metadata);
        if changes.is_empty() {
            return Err(Error::Usage("give --description, --tags or --default-queue-type".to_owned()));
        }
        self.output.remark(&format!("Updating metadata of vhost \"{name}\""));
        self.client.patch(&path(name), &Value::Object(changes)).map_err(|error| missing(error, "vhost", name))
    }

    pub(super) fn delete_vhost(&self, name: &str) -> Result<(), Error> {
        self.output.remark(&format!("Deleting vhost \"{name}\""));
        self.client.delete(&path(name)).map_err(|error| missing(error, "vhost", name))
    }
}

fn path(name: &str) -> String {
    format!("vhosts/{}", segment(name))
}

/// Only what was given.
fn to_json(metadata: &VhostMetadata) -> Map<String, Value> {
    let VhostMetadata { description, tags, default_queue_type } = metadata;
    let given = [("description", description), ("tags", tags), ("default_queue_type", default_queue_type)];
    given.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))).collect()
}
