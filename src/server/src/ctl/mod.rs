//! `leveret ctl`: administration from the command line, with rabbitmqctl's commands and columns.
//!
//! It speaks the management API over the unix socket in the server's data folder, so it needs no password and no
//! port: whoever may read the data may administer the server. Not taken: a protocol of its own, and access to the
//! store while no server runs (two writers).

mod client;
mod commands;
mod delayed;
mod error;
mod limits;
mod lists;
mod output;
mod vhosts;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};

use self::{client::Client, error::Error, output::Output};
use crate::{
    config::{self, Setting, Sources},
    management::SOCKET_NAME,
    plugins::Plugins,
};

/// What `leveret ctl` takes.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub struct Options {
    /// The server's data folder [default: as configured, else data]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// The server's socket [default: leveret.sock in the data folder]
    #[arg(long, value_name = "FILE", global = true)]
    socket: Option<PathBuf>,
    /// The virtual host
    #[arg(short = 'p', long, default_value = "/", global = true, hide_default_value = true)]
    vhost: String,
    /// How lists are written [default: table]
    #[arg(long, alias = "formatter", value_name = "FORMAT", global = true)]
    format: Option<Format>,
    /// No remarks, only results
    #[arg(short, long, global = true)]
    quiet: bool,
    /// No remarks and no table headers
    #[arg(short, long, global = true)]
    silent: bool,
    /// No table headers
    #[arg(long, global = true)]
    no_table_headers: bool,
    /// There is one node; taken so that scripts for rabbitmqctl run
    #[arg(short, long, global = true, hide = true)]
    node: Option<String>,
    /// Seconds to wait for the server
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60, global = true)]
    timeout: u64,
    #[command(subcommand)]
    command: Command,
}

/// How lists are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns parted by tabs, with a header.
    #[value(alias = "pretty_table")]
    Table,
    /// An array of objects.
    Json,
}

/// A policy's place and content.
#[derive(Args, Debug)]
struct PolicyOptions {
    /// Its name, unique in the vhost
    name: String,
    /// Regular expression for names of queues or exchanges
    #[arg(allow_hyphen_values = true)]
    pattern: String,
    /// Settings as JSON, such as '{"max-length": 1000}'
    definition: String,
    /// Of several policies that match, the highest holds
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    priority: i64,
    /// queues, classic_queues, quorum_queues, exchanges or all
    #[arg(long, default_value = "all")]
    apply_to: String,
}

/// What is said of a vhost.
#[derive(Args, Debug)]
struct VhostMetadata {
    /// For people
    #[arg(short, long)]
    description: Option<String>,
    /// For people, with commas between them
    #[arg(long)]
    tags: Option<String>,
    /// Type of queues that are declared without one: classic or quorum
    #[arg(long, value_name = "TYPE")]
    default_queue_type: Option<String>,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
enum Command {
    /// Add a user; the password is read from standard input where it is left out
    AddUser { username: String, password: Option<String> },
    /// Delete a user with its permissions
    DeleteUser { username: String },
    /// Set a user's password, read from standard input where it is left out
    ChangePassword { username: String, password: Option<String> },
    /// Take a user's password away: it cannot log in with one any more
    ClearPassword { username: String },
    /// Check a user's password, read from standard input where it is left out
    AuthenticateUser { username: String, password: Option<String> },
    /// Replace a user's tags: administrator, monitoring, policymaker, management, impersonator, or your own
    SetUserTags { username: String, tags: Vec<String> },
    /// List users and their tags
    ListUsers,
    /// Create a vhost
    AddVhost {
        name: String,
        #[command(flatten)]
        metadata: VhostMetadata,
    },
    /// Change what is said of a vhost; what is left out stays
    UpdateVhostMetadata {
        name: String,
        #[command(flatten)]
        metadata: VhostMetadata,
    },
    /// Delete a vhost with everything in it
    DeleteVhost { name: String },
    /// List vhosts
    ListVhosts { columns: Vec<String> },
    /// Set a user's permissions in a vhost, as regular expressions of names
    SetPermissions {
        username: String,
        #[arg(allow_hyphen_values = true)]
        configure: String,
        #[arg(allow_hyphen_values = true)]
        write: String,
        #[arg(allow_hyphen_values = true)]
        read: String,
    },
    /// Take a user's permissions in a vhost away
    ClearPermissions { username: String },
    /// List the permissions in a vhost
    ListPermissions,
    /// List a user's permissions in all vhosts
    ListUserPermissions { username: String },
    /// Set a user's permissions on the routing keys of a topic exchange
    SetTopicPermissions {
        username: String,
        exchange: String,
        #[arg(allow_hyphen_values = true)]
        write: String,
        #[arg(allow_hyphen_values = true)]
        read: String,
    },
    /// Take a user's topic permissions away, on one exchange or on all of the vhost
    ClearTopicPermissions { username: String, exchange: Option<String> },
    /// List the topic permissions in a vhost
    ListTopicPermissions,
    /// Set a policy
    SetPolicy(PolicyOptions),
    /// Remove a policy
    ClearPolicy { name: String },
    /// List the policies of a vhost
    ListPolicies,
    /// Set an operator policy, which can only tighten limits
    SetOperatorPolicy(PolicyOptions),
    /// Remove an operator policy
    ClearOperatorPolicy { name: String },
    /// List the operator policies of a vhost
    ListOperatorPolicies,
    /// Replace the limits of a vhost
    SetVhostLimits {
        /// As JSON: '{"max-connections": 64, "max-queues": 1000}'
        definition: String,
    },
    /// Remove the limits of a vhost
    ClearVhostLimits,
    /// Show the limits of a vhost
    ListVhostLimits {
        /// Of all vhosts
        #[arg(long)]
        global: bool,
    },
    /// Set limits of a user; those that are left out stay
    SetUserLimits {
        username: String,
        /// As JSON: '{"max-connections": 10, "max-channels": 100}'
        definition: String,
    },
    /// Remove a limit of a user, or all
    ClearUserLimits {
        username: String,
        /// max-connections, max-channels or all
        limit: String,
    },
    /// Show the limits of a user
    ListUserLimits {
        /// Whose
        #[arg(long, default_value = "guest")]
        user: String,
        /// Of all users
        #[arg(long)]
        global: bool,
    },
    /// List the queues of a vhost
    ListQueues { columns: Vec<String> },
    /// List the exchanges of a vhost
    ListExchanges { columns: Vec<String> },
    /// List the bindings of a vhost
    ListBindings { columns: Vec<String> },
    /// List connections
    ListConnections { columns: Vec<String> },
    /// List channels
    ListChannels { columns: Vec<String> },
    /// List the consumers of a vhost
    ListConsumers { columns: Vec<String> },
    #[command(flatten)]
    Delayed(delayed::DelayedCommand),
    /// Remove the ready messages of a queue
    PurgeQueue { queue: String },
    /// Delete a queue
    DeleteQueue {
        queue: String,
        /// Only where it has no messages
        #[arg(short = 'e', long = "if-empty")]
        if_empty: bool,
        /// Only where it has no consumers
        #[arg(short = 'u', long = "if-unused")]
        if_unused: bool,
    },
    /// Close a connection, named as list_connections name shows it
    CloseConnection { name: String, reason: String },
    /// Close all connections to a vhost
    CloseAllConnections {
        reason: String,
        /// Of all vhosts
        #[arg(long)]
        global: bool,
    },
    /// Show what the server is and does
    Status,
    /// Check that the server answers
    Ping,
    /// Write all definitions to a file, or to standard output
    ExportDefinitions { file: Option<PathBuf> },
    /// Add what a file defines, or standard input
    ImportDefinitions { file: Option<PathBuf> },
}

/// Does what the command line says. Failures are on standard error; the exit codes are those of `sysexits.h`, as
/// rabbitmqctl's are.
#[must_use]
pub fn run(options: Options, plugins: &Plugins) -> ExitCode {
    match try_run(options, plugins) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn try_run(options: Options, plugins: &Plugins) -> Result<(), Error> {
    let client = Client::new(socket(&options, plugins)?, options.timeout)?;
    let output = Output {
        is_json: options.format == Some(Format::Json),
        has_remarks: !(options.quiet || options.silent || options.format == Some(Format::Json)),
        has_headers: !(options.silent || options.no_table_headers),
    };
    commands::run(options.command, &options.vhost, &client, &output)
}

fn socket(options: &Options, plugins: &Plugins) -> Result<PathBuf, Error> {
    if let Some(socket) = &options.socket {
        return Ok(socket.clone());
    }
    let data_dir = match &options.data_dir {
        Some(data_dir) => data_dir.clone(),
        None => config::load(&sources(plugins)).map_err(|error| Error::Config(error.to_string()))?.data_dir,
    };
    Ok(data_dir.join(SOCKET_NAME))
}

/// Where the server itself would look.
fn sources(plugins: &Plugins) -> Sources {
    let environment = Setting::from_environment(crate::cli::environment());
    Sources { environment, sections: plugins.sections(), ..Sources::default() }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Ctl {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Ctl::command().debug_assert();
    }

    #[test]
    fn options_may_stand_behind_the_command() {
        let parsed = Ctl::parse_from(["ctl", "list_queues", "-p", "v", "name", "--formatter", "json", "-q"]).options;
        assert_eq!((&*parsed.vhost, parsed.format, parsed.quiet), ("v", Some(Format::Json), true));
        assert!(matches!(parsed.command, Command::ListQueues { columns } if columns == ["name"]));
        let parsed = Ctl::parse_from(["ctl", "delete_queue", "q", "--if-empty", "--if-unused"]).options;
        assert!(matches!(parsed.command, Command::DeleteQueue { if_empty: true, if_unused: true, .. }));
        let parsed = Ctl::parse_from(["ctl", "reschedule_delayed", "x", "1-2", "--at-ms", "7"]).options;
        assert!(matches!(parsed.command, Command::Delayed(_)));
        assert!(Ctl::try_parse_from(["ctl", "reschedule_delayed", "x", "1-2"]).is_err(), "a time is needed");
        let parsed = Ctl::parse_from(["ctl", "set_policy", "--priority", "-1", "p", "^a", "{}"]).options;
        assert!(matches!(parsed.command, Command::SetPolicy(policy) if policy.priority == -1));
    }
}
