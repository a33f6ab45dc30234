#![allow(clippy::unwrap_used)]

use figment::value::{Dict, Value};
use leveret_broker::{
    auth::{BackendChoice, BackendPair},
    plugin::Section,
};

use super::*;
use crate::plugins::Plugins;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/leveret.toml");

fn with_file(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.toml");
    std::fs::write(&file, text).unwrap();
    load(&Sources { file: Some(file), ..Sources::default() })
}

fn with_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let owned = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    load(&Sources {
        file: Some(FILE.into()),
        environment: Setting::from_environment(owned),
        plugins: Some(vec!["management", "random-exchange"]),
        sections: sections(),
        ..Sources::default()
    })
}

/// The sections of all plugins.
fn sections() -> Vec<Section> {
    Plugins::compiled_in().sections()
}

/// All leaf keys that have a value, such as `amqp.bind`.
fn keys(dict: &Dict, prefix: &str) -> Vec<String> {
    let below = |(name, value): (&String, &Value)| match value {
        Value::Dict(_, inner) => keys(inner, &format!("{prefix}{name}.")),
        Value::Empty(..) => Vec::new(),
        _ => vec![format!("{prefix}{name}")],
    };
    dict.iter().flat_map(below).collect()
}

#[test]
fn the_file_states_every_key_with_its_default() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let config = load(&Sources { file: Some(FILE.into()), sections: sections(), ..Sources::default() }).unwrap();
    let of_plugins = sections().into_iter().map(|section| (section.name.to_owned(), section.defaults));
    let expected = Config { sections: of_plugins.collect(), ..Config::default() };
    assert_eq!(config, expected);
    let stated: Dict = figment::Figment::from(<figment::providers::Toml as figment::providers::Format>::string(&text))
        .extract()
        .unwrap();
    let mut defaults = Value::serialize(&expected).unwrap().into_dict().unwrap();
    defaults.extend(expected.sections.iter().map(|(name, values)| (name.clone(), Value::serialize(values).unwrap())));
    assert_eq!(keys(&stated, ""), keys(&defaults, ""));
}

/// The keys below `value` that have no default.
fn keys_without_default(value: &serde_json::Value, key: &str) -> Vec<String> {
    match value {
        serde_json::Value::Null => vec![key.to_owned()],
        serde_json::Value::Object(inner) => {
            inner.iter().flat_map(|(name, value)| keys_without_default(value, &format!("{key}.{name}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn the_file_shows_keys_without_a_default_as_comments() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let comments = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(" = "));
    let shown: Vec<&str> = comments.map(|(key, _)| key).collect();
    for section in sections() {
        for key in keys_without_default(&section.defaults, section.name) {
            assert!(shown.iter().any(|shown| key.ends_with(&format!(".{shown}"))), "{key} is not shown");
        }
    }
}

#[test]
fn every_key_of_the_file_has_a_line_with_its_default_and_why() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(" = ")) {
        let Some((_, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        let comment: Vec<&str> =
            lines[..index].iter().rev().take_while(|line| line.starts_with('#')).copied().collect();
        let stated = format!("# Default {value}");
        assert!(comment.last().is_some_and(|first| first.starts_with(&stated)), "{line}: no comment {stated:?}");
    }
}

#[test]
fn layers_win_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.toml");
    std::fs::write(&file, "data_dir = \"from-file\"\n[amqp]\nheartbeat = 1\nframe_max = 8192\n").unwrap();
    let environment = [("LEVERET_AMQP__HEARTBEAT".to_owned(), "2".to_owned())];
    let config = load(&Sources {
        file: Some(file),
        environment: Setting::from_environment(
            environment.into_iter().chain([("LEVERET_AMQP__BIND".into(), "h:1".into())]),
        ),
        flags: vec![Setting::flag("--amqp-bind", "amqp.bind", "[::1]:2")],
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(config.data_dir, PathBuf::from("from-file"));
    assert_eq!((config.amqp.frame_max, config.amqp.heartbeat), (8192, 2));
    assert_eq!(config.amqp.bind, "[::1]:2");
    assert_eq!(config.amqp.channel_max, 2047);
}

#[test]
fn environment_texts_take_the_type_of_their_key() {
    let config = with_environment(&[
        ("LEVERET_DEFAULT_PASS", "00123"),
        ("LEVERET_LOOPBACK_USERS", "guest, admin"),
        ("LEVERET_PLUGINS__ENABLED", ""),
        ("LEVERET_MEMORY_HIGH_WATERMARK", "1"),
        ("LEVERET_STORE__SYNC", "os"),
        ("LEVERET_SERVICE_HOST", "10.0.0.1"),
        ("LEVERET_PORT_5672_TCP", "tcp://10.0.0.1:5672"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(config.default_pass.reveal(), "00123");
    assert_eq!(config.loopback_users, ["guest", "admin"]);
    assert!(config.plugins.enabled.is_empty());
    assert!((config.memory_high_watermark - 1.0).abs() < f64::EPSILON);
    assert_eq!(config.store.sync, Sync::Os);
}

#[test]
fn an_unknown_key_is_named_with_those_there_are() {
    let error = with_file("[amqp]\nframe_mox = 1\n").unwrap_err().to_string();
    assert!(error.starts_with("amqp.frame_mox ("), "{error}");
    assert!(error.contains("test.toml"), "{error}");
    assert!(error.contains("frame_max, channel_max"), "{error}");
    let error = with_environment(&[("LEVERET_AMPQ__BIND", "x")]).unwrap_err().to_string();
    assert!(error.starts_with("ampq (environment variable LEVERET_AMPQ__BIND): there is no such key"), "{error}");
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_what_is_allowed() {
    let message = |name, text| with_environment(&[(name, text)]).unwrap_err().to_string();
    assert_eq!(
        message("LEVERET_STORE__SYNC", "never"),
        "store.sync = \"never\" (environment variable LEVERET_STORE__SYNC): must be \"commit\" or \"os\""
    );
    assert_eq!(
        message("LEVERET_AMQP__HEARTBEAT", "soon"),
        "amqp.heartbeat = \"soon\" (environment variable LEVERET_AMQP__HEARTBEAT): must be a number from 0 to 65535"
    );
    assert_eq!(
        message("LEVERET_AMQP__HEARTBEAT", "70000"),
        "amqp.heartbeat = 70000 (environment variable LEVERET_AMQP__HEARTBEAT): must be a number from 0 to 65535"
    );
    assert_eq!(
        message("LEVERET_AMQP__FRAME_MAX", "100"),
        "amqp.frame_max = 100 (environment variable LEVERET_AMQP__FRAME_MAX): \
         must be from 4096 (AMQP 0-9-1's least) to 1073741824"
    );
    assert!(message("LEVERET_AMQP__BIND", "5672").contains("must be HOST:PORT"));
    assert!(message("LEVERET_LOG__LEVEL", "loud").contains("log.level = \"loud\""));
    assert_eq!(
        message("LEVERET_PLUGINS__ENABLED", "management,mqtt"),
        "plugins.enabled = [\"management\", \"mqtt\"] (environment variable LEVERET_PLUGINS__ENABLED): \
         must be [\"all\"] or a list of names out of [\"management\", \"random-exchange\"]"
    );
    assert!(message("LEVERET_AMQP", "5").starts_with("amqp = \"5\""));
}

#[test]
fn backends_are_names_or_pairs_of_names() {
    let one = |name: &str| BackendChoice::One(name.to_owned());
    let file = "[auth]\nbackends = [\"internal\", { authn = \"http\", authz = \"internal\" }]\n";
    let pair = BackendPair { authn: "http".to_owned(), authz: "internal".to_owned() };
    assert_eq!(with_file(file).unwrap().auth.backends, [one("internal"), BackendChoice::Pair(pair)]);
    let config = with_environment(&[("LEVERET_AUTH__BACKENDS", "internal, http")]).unwrap();
    assert_eq!(config.auth.backends, [one("internal"), one("http")]);
    let error = with_file("[auth]\nbackends = [{ authn = \"http\" }]\n").unwrap_err().to_string();
    assert!(error.contains("must be the name of a backend, or a pair"), "{error}");
}

#[test]
fn a_secret_shows_nowhere() {
    let error = with_file("default_pass = 5\n").unwrap_err().to_string();
    assert!(error.contains("(not shown)"), "{error}");
    let shown = format!("{:?}", with_file("default_pass = \"hunter2\"\n").unwrap());
    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_named_file_must_exist_and_be_toml() {
    let missing = load(&Sources { file: Some("/nonexistent/leveret.toml".into()), ..Sources::default() });
    assert!(missing.unwrap_err().to_string().starts_with("configuration file /nonexistent/leveret.toml: "));
    let error = with_file("this is not toml").unwrap_err().to_string();
    assert!(error.contains("test.toml"), "{error}");
}

fn with_section(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.toml");
    std::fs::write(&file, text).unwrap();
    let defaults = serde_json::json!({"vhost": "/", "deep": {"flag": null, "count": 3}});
    let owned = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let environment = Setting::from_environment(owned);
    let sections = vec![Section { name: "sample", defaults }];
    load(&Sources { file: Some(file), environment, sections, ..Sources::default() })
}

#[test]
fn a_plugin_has_a_section_of_its_own() {
    let section = |config: Config| config.sections["sample"].clone();
    let config = with_section("data_dir = \"d\"", &[]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("d"));
    assert_eq!(section(config), serde_json::json!({"vhost": "/", "deep": {"flag": null, "count": 3}}));
    let config = with_section(
        "[sample]\nvhost = \"v\"\n[sample.deep]\nother = 1\n",
        &[("LEVERET_SAMPLE__DEEP__FLAG", "true"), ("LEVERET_SAMPLE__DEEP__COUNT", "5")],
    );
    let expected = serde_json::json!({"vhost": "v", "deep": {"flag": true, "count": 5, "other": 1}});
    assert_eq!(section(config.unwrap()), expected);
    let config = with_section("", &[("LEVERET_SAMPLE__VHOST", "00123")]).unwrap();
    assert_eq!(section(config)["vhost"], "00123");
    let error = with_section("[simple]\nvhost = \"v\"\n", &[]).unwrap_err().to_string();
    assert!(error.starts_with("simple (") && error.contains("there is no such key"), "{error}");
    let error = with_section("[amqp]\nheartbeat = \"soon\"\n", &[]).unwrap_err().to_string();
    assert!(error.starts_with("amqp.heartbeat = \"soon\" (") && error.contains("test.toml"), "{error}");
}
