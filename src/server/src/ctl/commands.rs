//! What each command does.

use std::{
    io::{BufRead, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    Command, PolicyOptions,
    client::{Client, segment},
    error::Error,
    lists::{self, List},
    output::{Output, choose},
};

pub(super) fn run(command: Command, vhost: &str, client: &Client, output: &Output) -> Result<(), Error> {
    let context = Context { vhost, in_path: segment(vhost), client, output };
    match command {
        Command::AddUser { username, password } => context.add_user(&username, password),
        Command::DeleteUser { username } => {
            output.remark(&format!("Deleting user \"{username}\""));
            client.delete(&user_path(&username)).map_err(|error| no_such_user(error, &username))
        }
        Command::ChangePassword { username, password } => context.change_password(&username, password),
        Command::ClearPassword { username } => {
            output.remark(&format!("Clearing password for user \"{username}\""));
            context.change_user(&username, |user| {
                user.remove("password_hash");
            })
        }
        Command::AuthenticateUser { username, password } => context.authenticate(&username, password),
        Command::SetUserTags { username, tags } => {
            output.remark(&format!("Setting tags for user \"{username}\" to [{}]", tags.join(", ")));
            context.change_user(&username, |user| {
                user.insert("tags".to_owned(), json!(tags));
            })
        }
        Command::ListUsers => context.list(&lists::USERS, &[]),
        Command::AddVhost { name, metadata } => context.add_vhost(&name, &metadata),
        Command::UpdateVhostMetadata { name, metadata } => context.update_vhost_metadata(&name, &metadata),
        Command::DeleteVhost { name } => context.delete_vhost(&name),
        Command::ListVhosts { columns } => context.list(&lists::VHOSTS, &columns),
        Command::SetPermissions { username, configure, write, read } => {
            output.remark(&format!("Setting permissions for user \"{username}\" in vhost \"{vhost}\""));
            let body = json!({ "configure": configure, "write": write, "read": read });
            client.put(&context.permissions_path("permissions", &username), &body)
        }
        Command::ClearPermissions { username } => {
            output.remark(&format!("Clearing permissions for user \"{username}\" in vhost \"{vhost}\""));
            client
                .delete(&context.permissions_path("permissions", &username))
                .map_err(|error| missing(error, "permissions in this vhost of user", &username))
        }
        Command::ListPermissions => context.list_permissions(),
        Command::ListUserPermissions { username } => context.list_user_permissions(&username),
        Command::SetTopicPermissions { username, exchange, write, read } => {
            let target = format!("on \"{exchange}\" for user \"{username}\" in vhost \"{vhost}\"");
            output.remark(&format!("Setting topic permissions {target}"));
            let body = json!({ "exchange": exchange, "write": write, "read": read });
            client.put(&context.permissions_path("topic-permissions", &username), &body)
        }
        Command::ClearTopicPermissions { username, exchange } => {
            output.remark(&format!("Clearing topic permissions for user \"{username}\" in vhost \"{vhost}\""));
            let path = context.permissions_path("topic-permissions", &username);
            let path = exchange.map_or_else(|| path.clone(), |exchange| format!("{path}/{}", segment(&exchange)));
            client.delete(&path).map_err(|error| missing(error, "topic permissions of user", &username))
        }
        Command::ListTopicPermissions => context.list_topic_permissions(),
        Command::SetPolicy(policy) => context.set_policy("policies", &policy),
        Command::ClearPolicy { name } => context.clear_policy("policies", &name),
        Command::ListPolicies => context.list(&lists::POLICIES, &[]),
        Command::SetOperatorPolicy(policy) => context.set_policy("operator-policies", &policy),
        Command::ClearOperatorPolicy { name } => context.clear_policy("operator-policies", &name),
        Command::ListOperatorPolicies => context.list(&lists::OPERATOR_POLICIES, &[]),
        Command::SetVhostLimits { definition } => context.set_vhost_limits(&definition),
        Command::ClearVhostLimits => context.clear_vhost_limits(),
        Command::ListVhostLimits { global } => context.list_vhost_limits(global),
        Command::SetUserLimits { username, definition } => context.set_user_limits(&username, &definition),
        Command::ClearUserLimits { username, limit } => context.clear_user_limits(&username, &limit),
        Command::ListUserLimits { user, global } => context.list_user_limits(&user, global),
        Command::ListQueues { columns } => context.list(&lists::QUEUES, &columns),
        Command::ListExchanges { columns } => context.list(&lists::EXCHANGES, &columns),
        Command::ListBindings { columns } => context.list(&lists::BINDINGS, &columns),
        Command::ListConnections { columns } => context.list(&lists::CONNECTIONS, &columns),
        Command::ListChannels { columns } => context.list(&lists::CHANNELS, &columns),
        Command::ListConsumers { columns } => context.list(&lists::CONSUMERS, &columns),
        Command::Delayed(command) => context.delayed(&command),
        Command::PurgeQueue { queue } => {
            output.remark(&format!("Purging queue '{queue}' in vhost '{vhost}'"));
            let path = format!("{}/contents", context.queue_path(&queue));
            client.delete(&path).map_err(|error| missing(error, "queue", &queue))
        }
        Command::DeleteQueue { queue, if_empty, if_unused } => {
            output.remark(&format!("Deleting queue '{queue}' on vhost '{vhost}'"));
            let path = format!("{}?if-empty={if_empty}&if-unused={if_unused}", context.queue_path(&queue));
            client.delete(&path).map_err(|error| missing(error, "queue", &queue))
        }
        Command::CloseConnection { name, reason } => {
            output.remark(&format!("Closing connection {name}, reason: {reason}"));
            client
                .delete_because(&format!("connections/{}", segment(&name)), &reason)
                .map_err(|error| missing(error, "connection", &name))
        }
        Command::CloseAllConnections { reason, global } => context.close_all(&reason, global),
        Command::Status => context.status(),
        Command::Ping => {
            client.get("whoami")?;
            output.result("Ping succeeded");
            Ok(())
        }
        Command::ExportDefinitions { file } => context.export(file.as_deref()),
        Command::ImportDefinitions { file } => context.import(file.as_deref()),
    }
}

/// What a command works on.
pub(super) struct Context<'a> {
    pub(super) vhost: &'a str,
    /// The vhost as a segment of a path.
    pub(super) in_path: String,
    pub(super) client: &'a Client,
    pub(super) output: &'a Output,
}

impl Context<'_> {
    fn permissions_path(&self, kind: &str, user: &str) -> String {
        format!("{kind}/{}/{}", self.in_path, segment(user))
    }

    fn queue_path(&self, queue: &str) -> String {
        format!("queues/{}/{}", self.in_path, segment(queue))
    }

    fn add_user(&self, name: &str, password: Option<String>) -> Result<(), Error> {
        let password = given_or_read(password)?;
        self.output.remark(&format!("Adding user \"{name}\""));
        if self.client.exists(&user_path(name))? {
            return Err(Error::Refused { status: 400, reason: format!("User \"{name}\" already exists") });
        }
        self.client.put(&user_path(name), &json!({ "password": password, "tags": [] }))
    }

    fn change_password(&self, name: &str, password: Option<String>) -> Result<(), Error> {
        let password = given_or_read(password)?;
        self.output.remark(&format!("Changing password for user \"{name}\""));
        self.change_user(name, |user| {
            user.remove("password_hash");
            user.insert("password".to_owned(), json!(password));
        })
    }

    /// Reads a user, changes it and writes it back whole, as the API wants it.
    fn change_user(&self, name: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Error> {
        let user = self.client.get(&user_path(name)).map_err(|error| no_such_user(error, name))?;
        let Value::Object(mut user) = user else { return Ok(()) };
        change(&mut user);
        self.client.put(&user_path(name), &Value::Object(user))
    }

    fn authenticate(&self, name: &str, password: Option<String>) -> Result<(), Error> {
        let password = given_or_read(password)?;
        self.output.remark(&format!("Authenticating user \"{name}\""));
        self.client.post("auth/authenticate", &json!({ "username": name, "password": password }))?;
        self.output.result("Success");
        Ok(())
    }

    pub(super) fn list(&self, list: &List, columns: &[String]) -> Result<(), Error> {
        let columns = choose(columns, list.columns, list.default)?;
        let of = if list.by_vhost { format!(" for vhost {}", self.vhost) } else { String::new() };
        self.output.remark(&format!("Listing {}{of}", list.what));
        let path = if list.by_vhost { format!("{}/{}", list.path, self.in_path) } else { list.path.to_owned() };
        let mut items = array(self.client.get(&path).map_err(|error| missing(error, "vhost", self.vhost))?);
        // The API does not say what is always the same.
        for item in items.iter_mut().filter(|item| !item["source"].is_null()) {
            item["source_kind"] = json!("exchange");
        }
        self.output.list(&items, &columns);
        Ok(())
    }

    fn list_permissions(&self) -> Result<(), Error> {
        self.output.remark(&format!("Listing permissions for vhost \"{}\"", self.vhost));
        let items = self.client.get(&format!("vhosts/{}/permissions", self.in_path));
        let items = items.map_err(|error| missing(error, "vhost", self.vhost))?;
        self.output.list(&array(items), lists::PERMISSIONS);
        Ok(())
    }

    fn list_user_permissions(&self, name: &str) -> Result<(), Error> {
        self.output.remark(&format!("Listing permissions for user \"{name}\""));
        let items = self.client.get(&format!("{}/permissions", user_path(name)));
        self.output.list(&array(items.map_err(|error| no_such_user(error, name))?), lists::USER_PERMISSIONS);
        Ok(())
    }

    fn list_topic_permissions(&self) -> Result<(), Error> {
        self.output.remark(&format!("Listing topic permissions for vhost \"{}\"", self.vhost));
        let items = self.client.get(&format!("vhosts/{}/topic-permissions", self.in_path));
        let items = items.map_err(|error| missing(error, "vhost", self.vhost))?;
        self.output.list(&array(items), lists::TOPIC_PERMISSIONS);
        Ok(())
    }

    fn set_policy(&self, kind: &str, policy: &PolicyOptions) -> Result<(), Error> {
        let PolicyOptions { name, pattern, definition, priority, apply_to } = policy;
        let definition: Value = serde_json::from_str(definition)
            .map_err(|error| Error::Usage(format!("the definition is not JSON: {error}")))?;
        self.output.remark(&format!("Setting policy \"{name}\" for pattern \"{pattern}\" in vhost \"{}\"", self.vhost));
        let body = json!({ "pattern": pattern, "definition": definition, "priority": priority, "apply-to": apply_to });
        self.client.put(&format!("{kind}/{}/{}", self.in_path, segment(name)), &body)
    }

    fn clear_policy(&self, kind: &str, name: &str) -> Result<(), Error> {
        self.output.remark(&format!("Clearing policy \"{name}\" on vhost \"{}\"", self.vhost));
        let path = format!("{kind}/{}/{}", self.in_path, segment(name));
        self.client.delete(&path).map_err(|error| missing(error, "policy", name))
    }

    fn close_all(&self, reason: &str, global: bool) -> Result<(), Error> {
        let of = if global { "all vhosts".to_owned() } else { format!("vhost {}", self.vhost) };
        self.output.remark(&format!("Closing all connections in {of}, reason: {reason}"));
        let path = if global { "connections".to_owned() } else { format!("vhosts/{}/connections", self.in_path) };
        for connection in array(self.client.get(&path)?) {
            let name = connection["name"].as_str().unwrap_or_default();
            match self.client.delete_because(&format!("connections/{}", segment(name)), reason) {
                // Gone by itself meanwhile.
                Err(Error::Refused { status: 404, .. }) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn status(&self) -> Result<(), Error> {
        let overview = self.client.get("overview")?;
        if self.output.is_json {
            self.output.json(&overview);
            return Ok(());
        }
        let nodes = self.client.get("nodes")?;
        self.output.remark(&format!("Status of node {}", text(&overview["node"])));
        self.output.result(&describe(&overview, &nodes[0]));
        Ok(())
    }

    fn export(&self, file: Option<&Path>) -> Result<(), Error> {
        let definitions = format!("{:#}\n", self.client.get("definitions")?);
        match to_file(file) {
            None => {
                self.output.result(definitions.trim_end());
                Ok(())
            }
            Some(file) => {
                self.output.remark(&format!("Exporting definitions in JSON to a file at \"{}\"", file.display()));
                std::fs::write(file, definitions).map_err(|reason| file_error(file, reason))
            }
        }
    }

    fn import(&self, file: Option<&Path>) -> Result<(), Error> {
        let json = match to_file(file) {
            None => {
                let mut json = String::new();
                std::io::stdin().read_to_string(&mut json).map_err(|reason| file_error("standard input", reason))?;
                json
            }
            Some(file) => {
                self.output.remark(&format!("Importing definitions in JSON from a file at \"{}\"", file.display()));
                std::fs::read_to_string(file).map_err(|reason| file_error(file, reason))?
            }
        };
        let definitions = serde_json::from_str(&json).map_err(|error| Error::Refused {
            status: 400,
            reason: format!("the definitions are not JSON: {error}"),
        })?;
        self.client.post("definitions", &definitions).map(drop)
    }
}

fn user_path(name: &str) -> String {
    format!("users/{}", segment(name))
}

pub(super) fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// `-` is standard input or output.
fn to_file(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| *file != Path::new("-"))
}

fn file_error(file: impl Into<PathBuf>, reason: std::io::Error) -> Error {
    Error::File { what: file.into().display().to_string(), reason }
}

/// The API's 404 does not say what is missing.
pub(super) fn missing(error: Error, kind: &str, name: &str) -> Error {
    match error {
        Error::Refused { status: 404, .. } => {
            Error::Refused { status: 404, reason: format!("there is no {kind} '{name}'") }
        }
        other => other,
    }
}

pub(super) fn no_such_user(error: Error, name: &str) -> Error {
    match error {
        Error::Refused { status: 404, .. } => {
            Error::Refused { status: 404, reason: format!("User \"{name}\" does not exist") }
        }
        other => other,
    }
}

/// A password from the command line shows in the list of processes; from standard input it does not.
fn given_or_read(password: Option<String>) -> Result<String, Error> {
    if let Some(password) = password {
        return Ok(password);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("Password: ");
        // What cannot be shown does not keep the password from being typed.
        let _ = std::io::stderr().flush();
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|reason| file_error("standard input", reason))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn describe(overview: &Value, node: &Value) -> String {
    let totals = &overview["object_totals"];
    let messages = &overview["queue_totals"];
    let mut lines = vec![
        format!("Leveret version: {}", text(&overview["product_version"])),
        format!("RabbitMQ version it follows: {}", text(&overview["rabbitmq_version"])),
        format!("Node name: {}", text(&overview["node"])),
        format!("Cluster name: {}", text(&overview["cluster_name"])),
        format!("OS PID: {}", text(&node["os_pid"])),
        format!("Memory alarm: {}", node["mem_alarm"]),
        format!("Disk alarm: {}", node["disk_free_alarm"]),
    ];
    for key in ["connections", "channels", "exchanges", "queues", "consumers"] {
        lines.push(format!("{}{}: {}", key[..1].to_uppercase(), &key[1..], totals[key]));
    }
    lines.push(format!(
        "Messages: {} ready, {} unacknowledged",
        messages["messages_ready"], messages["messages_unacknowledged"]
    ));
    for listener in array(overview["listeners"].clone()) {
        let (address, port) = (text(&listener["ip_address"]), &listener["port"]);
        lines.push(format!("Listener: {address}:{port}, protocol {}", text(&listener["protocol"])));
    }
    lines.join("\n")
}
