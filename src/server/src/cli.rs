//! The command line.
//!
//! Each command is a module with its own arguments: one line in [`Command`], one in [`run`].

use std::{fmt::Display, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{self, ConfigError, Setting, Sources},
    ctl, logging, perf,
    plugins::{self, Plugins},
    server::{self, ServerError},
};

/// Leveret, a message broker that speaks AMQP 0-9-1 as RabbitMQ does
#[derive(Debug, Parser)]
#[command(name = "leveret", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the broker and serve until Ctrl-C or SIGTERM
    Serve(Serve),
    /// Administer a running broker, with rabbitmqctl's commands
    Ctl(ctl::Options),
    /// Drive a broker with messages and measure it
    Perf(perf::Options),
    /// Show what can be added to the broker: exchange types, the management interface
    Plugins(plugins::Options),
}

/// What `leveret serve` takes. A flag wins over the environment, that over the file, that over the defaults.
#[derive(Args, Debug)]
#[command(after_long_help = SERVE_HELP)]
struct Serve {
    /// Configuration file [default: config/leveret.toml where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that holds everything (key data_dir) [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where AMQP is listened on (key amqp.bind) [default: 0.0.0.0:5672]
    #[arg(long, value_name = "ADDR:PORT")]
    amqp_bind: Option<String>,
    /// Where management is listened on, empty for nowhere (key http.bind) [default: 127.0.0.1:15672]
    #[arg(long, value_name = "ADDR:PORT")]
    http_bind: Option<String>,
    /// When confirms are sent: commit, after the sync, or os, after the write (key store.sync) [default: commit]
    #[arg(long, value_name = "MODE")]
    sync: Option<String>,
    /// error, warn, info, debug, trace, or parts such as info,leveret_store=debug (key log.level) [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// text or json (key log.format) [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Set any other key, such as amqp.heartbeat=30; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

/// Tasks that a thread of the runtime polls before it looks for events on sockets. A poll takes up to a millisecond where
/// publishers keep all threads busy; with tokio's default of 61 everybody else would wait for seconds.
const POLLS_BETWEEN_EVENTS: u32 = 8;

const SERVE_HELP: &str = "\
Every key can also be set in the environment: LEVERET_ and the key in capitals, with two underscores for the dot, \
so LEVERET_AMQP__BIND is amqp.bind. config/leveret.toml in the source lists all keys with their defaults.";

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Server(#[from] ServerError),
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Does what the command line says, with a server that may use `plugins`; failures are on standard error.
pub fn run(cli: Cli, plugins: Plugins) -> ExitCode {
    match cli.command {
        Command::Serve(serve) => report(serve.run(plugins)),
        Command::Ctl(options) => ctl::run(options, &plugins),
        Command::Perf(options) => report(perf::run(&options)),
        Command::Plugins(options) => report(plugins::run(&options, &plugins)),
    }
}

fn report(outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("leveret: {failure}");
            ExitCode::FAILURE
        }
    }
}

impl Serve {
    fn run(self, plugins: Plugins) -> Result<(), Failure> {
        let sources = Sources { plugins: Some(plugins.names()), sections: plugins.sections(), ..self.into_sources() };
        let config = config::load(&sources)?;
        logging::start(&config.log);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().event_interval(POLLS_BETWEEN_EVENTS).build()?;
        runtime.block_on(async {
            let shutdown = until_asked_to_stop()?;
            Ok(server::run(config, plugins, shutdown).await?)
        })
    }

    fn into_sources(self) -> Sources {
        let named = [
            ("--data-dir", "data_dir", self.data_dir),
            ("--amqp-bind", "amqp.bind", self.amqp_bind),
            ("--http-bind", "http.bind", self.http_bind),
            ("--sync", "store.sync", self.sync),
            ("--log-level", "log.level", self.log_level),
            ("--log-format", "log.format", self.log_format),
        ];
        let others = self.set.into_iter().map(|(key, text)| Setting::flag("--set", &key, text));
        let named = named.into_iter().filter_map(|(flag, key, text)| Some(Setting::flag(flag, key, text?)));
        Sources {
            file: self.config,
            environment: Setting::from_environment(environment()),
            flags: others.chain(named).collect(),
            ..Sources::default()
        }
    }
}

/// The variables that are text; others cannot be ours.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}

/// Completes at Ctrl-C or SIGTERM. A second signal ends the process at once, for those who cannot wait.
fn until_asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(130);
        });
    })
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn sources(arguments: &[&str]) -> Sources {
        let cli = Cli::try_parse_from(["leveret", "serve"].iter().chain(arguments)).unwrap();
        let Command::Serve(serve) = cli.command else { panic!("not serve") };
        Sources { environment: Vec::new(), ..serve.into_sources() }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_set_their_keys() {
        let sources = sources(&[
            "--data-dir",
            "/d",
            "--amqp-bind",
            "[::1]:1",
            "--http-bind",
            "",
            "--sync",
            "os",
            "--set",
            "amqp.heartbeat=7",
        ]);
        let config = config::load(&Sources {
            file: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/leveret.toml").into()),
            sections: Plugins::compiled_in().sections(),
            ..sources
        })
        .unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/d"));
        assert_eq!((&*config.amqp.bind, &*config.http.bind), ("[::1]:1", ""));
        assert_eq!((config.store.sync, config.amqp.heartbeat), (config::Sync::Os, 7));
    }
}
