//! What only an operator is told.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::work::DELAYED_EXCHANGE;
use crate::server::command;

/// How many messages wait for their time.
///
/// # Errors
/// When the broker cannot be asked, or says something else.
pub(crate) async fn count_delayed(data: &Path) -> Result<u64, String> {
    let said = ask(data, &["list_delayed_exchanges", "name", "messages_delayed", "--silent"]).await?;
    let of_ours = said.lines().filter_map(|line| line.strip_prefix(DELAYED_EXCHANGE)).map(str::trim);
    of_ours.map(|count| count.parse::<u64>().map_err(|_| format!("no number of messages: {said}"))).sum()
}

/// What `leveret ctl` says.
///
/// # Errors
/// When the broker cannot be asked, or refuses.
pub(super) async fn ask(data: &Path, arguments: &'static [&'static str]) -> Result<String, String> {
    let data = PathBuf::from(data);
    let output = tokio::task::spawn_blocking(move || run(&data, arguments)).await.map_err(|error| error.to_string())?;
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", arguments[0], String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `leveret ctl`, which has a time limit of its own.
pub(super) fn run(data: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    let mut command = command();
    command.arg("ctl").args(arguments).env("LEVERET_DATA_DIR", data).current_dir(data);
    command.stdin(Stdio::null()).output()
}
