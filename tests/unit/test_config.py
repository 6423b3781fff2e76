"""The configuration: what overrules what, and what a person reads when a file or a value is wrong."""

from __future__ import annotations

import sys
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.config import (
    SETTINGS,
    CacheConfig,
    Config,
    ConsoleConfig,
    OutboxConfig,
    RetentionConfig,
    SummaryConfig,
    load,
    refuse_unknown_bindings,
)
from pushdesk.errors import StartUpError
from pushdesk.model import Experiment
from tests.programs import bare_environment, run

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def read(
    data_dir: Path,
    source: str = "",
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    if source:
        (data_dir / "pushdesk.toml").write_text(source, encoding="utf-8")
    return load(flags or {}, environ or {}, default_data_dir=data_dir)


def refusal(data_dir: Path, source: str) -> str:
    with pytest.raises(StartUpError) as caught:
        read(data_dir, source)
    return str(caught.value)


def test_nothing_given_is_the_documented_default(tmp_path: Path) -> None:
    config = read(tmp_path)
    assert (config.server.host, config.server.port, config.server.access_url) == ("localhost", 8484, None)
    assert config.data_dir == tmp_path
    assert config.identity.local
    assert config.log.level == "info"
    assert config.cache == CacheConfig(ttl_s=180, max_size=40_000_000)
    assert [experiment for experiment in Experiment if config.is_on(experiment)] == [Experiment.WEB_PUSH]


def test_a_flag_overrules_a_variable_and_a_variable_the_file(tmp_path: Path) -> None:
    source = '[server]\nport = 1001\n[log]\nlevel = "error"\n[push]\nconcurrency = 7\n'
    environ = {"PUSHDESK_PORT": "1002", "PUSHDESK_LOG_LEVEL": "warning"}
    config = read(tmp_path, source, {"--port": 1003}, environ)
    assert (config.server.port, config.log.level, config.push.concurrency) == (1003, "warning", 7)


def test_every_setting_is_read_from_file_and_variable(tmp_path: Path) -> None:
    samples = {
        "host": "127.0.0.1",
        "port": "0",
        "access_url": "https://push.example.com",
        "allow_origin": "https://shop.example,http://localhost:8000",
        "trusted_proxy": "10.0.0.0/8,fd00::/8,192.0.2.1",
        "max_connections": "500",
        "max_connections_per_address": "50",
        "rate_per_token": "20",
        "rate_per_address": "0",
        "data_dir": str(tmp_path / "data"),
        "dev": "true",
        "seal_key_file": str(tmp_path / "seal.key"),
        "subscriber": "mailto:ops@example.com",
        "click_origin": "https://news.example,*",
        "egress_proxy": "http://proxy.example:3128",
        "allow_endpoint": "http://127.0.0.1:8485,http://127.0.0.1:8486",
        "connect_timeout": "3s",
        "total_timeout": "1m",
        "concurrency": "9",
        "rate": "500",
        "max_devices": "3",
        "senders": "2",
        "ttl": "10m",
        "max_size": "2GB",
        "max_queue": "500",
        "min_free": "1GB",
        "days": "7",
        "rows": "0",
        "disabled": "90d",
        "web-push": "false",
        "turn-summaries": "true",
        "base_url": "http://llm.internal:11434/v1/",
        "api_key": "sk-secret",
        "api_key_file": str(tmp_path / "key"),
        "timeout": "9s",
        "local": "false",
        "level": "warning",
        "file": str(tmp_path / "log"),
        "theme": "nord",
    }
    assert {setting.key for setting in SETTINGS} == set(samples)
    environ = {setting.variable: samples[setting.key] for setting in SETTINGS}
    from_variables = load({}, environ, default_data_dir=tmp_path)

    named = tmp_path / "named.toml"
    named.write_text(
        "\n".join(f"{setting.table}.{setting.key} = {samples[setting.key]!r}" for setting in SETTINGS), encoding="utf-8"
    )
    from_file = load({"--config": str(named)}, {}, default_data_dir=tmp_path)
    assert from_file.server == from_variables.server
    assert from_file.push == from_variables.push
    assert from_file.cache == from_variables.cache == CacheConfig(ttl_s=600, max_size=2_000_000_000)
    assert from_file.outbox == from_variables.outbox == OutboxConfig(max_queue=500, min_free=1_000_000_000)
    assert from_file.retention == from_variables.retention == RetentionConfig(days=7, rows=0, disabled_s=90 * 86400)
    assert from_file.console == from_variables.console == ConsoleConfig(theme="nord")
    assert from_file.summary == from_variables.summary
    assert from_variables.summary == SummaryConfig(
        base_url="http://llm.internal:11434/v1", api_key="sk-secret", api_key_file=tmp_path / "key", timeout_s=9
    )
    assert from_file.experiments == from_variables.experiments == {Experiment.TURN_SUMMARIES}
    assert from_variables.push.allow_endpoint == ("http://127.0.0.1:8485", "http://127.0.0.1:8486")
    assert from_variables.server.allow_origin == ("https://shop.example", "http://localhost:8000")
    assert from_variables.server.seal_key_file == tmp_path / "seal.key"
    assert from_variables.push.click_origin == ("https://news.example", "*")
    assert from_variables.push.egress_proxy == "http://proxy.example:3128"
    assert from_variables.server.trusted_proxy == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.1")))
    assert from_variables.server.max_connections == 500
    assert from_variables.server.max_connections_per_address == 50
    assert (from_variables.server.rate_per_token, from_variables.server.rate_per_address) == (20, 0)
    assert from_variables.push.total_timeout_s == 60
    assert from_variables.push.senders == 2
    assert from_variables.data_dir == from_file.data_dir == tmp_path / "data"
    assert not from_variables.identity.local
    assert from_variables.dev


def test_flag_key_and_variable_share_one_name() -> None:
    names = {setting.flag: setting.variable for setting in SETTINGS}
    assert names["--log-level"] == "PUSHDESK_LOG_LEVEL"
    assert names["--push-connect-timeout"] == "PUSHDESK_PUSH_CONNECT_TIMEOUT"
    assert names["--senders"] == "PUSHDESK_PUSH_SENDERS"
    assert len(names) == len(set(names.values())) == len(SETTINGS)


def test_dev_means_a_debug_log_unless_a_level_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, flags={"--dev": True}).log.level == "debug"
    assert read(tmp_path, flags={"--dev": True, "--log-level": "error"}).log.level == "error"


def test_dev_means_that_every_experiment_is_on_and_changes_nothing_but_the_log(tmp_path: Path) -> None:
    source = "[experiments]\nweb-push = false\nturn-summaries = false\n"
    usual, developing = read(tmp_path, source), read(tmp_path, source, {"--dev": True})
    assert not any(usual.is_on(experiment) for experiment in Experiment)
    assert all(developing.is_on(experiment) for experiment in Experiment)
    assert structs.replace(developing, dev=False, log=usual.log) == usual


@pytest.mark.parametrize("written", ["0", "0s", "0d"])
def test_a_ttl_of_nothing_switches_the_cache_off(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, flags={"--cache-ttl": written}).cache.ttl_s == 0


def test_a_ttl_of_nothing_may_be_a_number_in_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, "[cache]\nttl = 0\n").cache.ttl_s == 0


@pytest.mark.parametrize(("written", "meant"), [("1MB", 10**6), ("40MB", 4 * 10**7), ("100GB", 10**11)])
def test_a_size_is_read_in_decimal_units(tmp_path: Path, written: str, meant: int) -> None:
    assert read(tmp_path, f"[cache]\nmax_size = {written!r}\n").cache.max_size == meant


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("[sevrer]\nport = 1", "line 1: [sevrer] is no table of pushdesk's. Did you mean `server`?"),
        (
            "# first\n[server]\n\nprot = 1",
            "line 4: `prot` in [server] is no setting of pushdesk's. Did you mean `port`?",
        ),
        ("[log]\nlevel = 'info'\n[server]\nlevel = 'x'", "line 4: `level` in [server] is no setting"),
        ("[server]\nport = 'x'", "line 2: `port` in [server] must be a whole number from 0 to 65535."),
        ("[server]\nport = true", "line 2: `port` in [server] must be a whole number from 0 to 65535."),
        ("server.port = 70000", "line 1: `port` in [server] must be a whole number"),
        ("[outbox]\nttl = '1m'", "line 2: `ttl` in [outbox] is no setting of pushdesk's. Known: max_queue, min_free"),
        ("[outbox]\nmin_free = 5", "line 2: `min_free` in [outbox] must be 0 or a size from 1MB to 1000000GB"),
        ("[retention]\ndays = '30d'", "line 2: `days` in [retention] must be a whole number from 0 to 3650."),
        (
            "[push]\ntotal_timeout = 90",
            "line 2: `total_timeout` in [push] must be a duration from 1s to 5m, with its unit.",
        ),
        ("[push]\ntotal_timeout = '7d'", "line 2: `total_timeout` in [push] must be a duration from 1s to 5m"),
        ("[push]\ntotal_timeout = 0", "line 2: `total_timeout` in [push] must be a duration from 1s to 5m"),
        ("[cache]\nttl = '-5s'", "line 2: `ttl` in [cache] must be 0 or a duration from 1s to 24h, with its unit."),
        ("[cache]\n\nttl = -5", "line 3: `ttl` in [cache] must be 0 or a duration from 1s to 24h, with its unit."),
        ("[cache]\nttl = '25h'", "line 2: `ttl` in [cache] must be 0 or a duration from 1s to 24h"),
        ("[cache]\nttl = false", "line 2: `ttl` in [cache] must be 0 or a duration from 1s to 24h"),
        ("[cache]\nttl = []", "line 2: `ttl` in [cache] must be 0 or a duration from 1s to 24h"),
        ("[cache]\ntll = '1m'", "line 2: `tll` in [cache] is no setting of pushdesk's. Did you mean `ttl`?"),
        ("[cache]\nmax_size = 40", "line 2: `max_size` in [cache] must be a size from 1MB to 100GB, with its unit."),
        ("[cache]\nmax_size = '999KB'", "line 2: `max_size` in [cache] must be a size from 1MB to 100GB"),
        ("[cache]\nmax_size = '101GB'", "line 2: `max_size` in [cache] must be a size from 1MB to 100GB"),
        (
            "[experiments]\nturn-summaries = true\nweb_push = false",
            "line 3: `web_push` in [experiments] is no setting of pushdesk's. Did you mean `web-push`?",
        ),
        (
            "experiments.time-travel = true",
            "line 1: `time-travel` in [experiments] is no setting of pushdesk's. Known: web-push, turn-summaries.",
        ),
        ("[experiments]\nweb-push = 'maybe'", "line 2: `web-push` in [experiments] must be true or false."),
        (
            "[experiment]\nweb-push = true",
            "line 1: [experiment] is no table of pushdesk's. Did you mean `experiments`?",
        ),
        ("[push]\nallow_endpoint = ['ftp://x']", "line 2: `allow_endpoint` in [push] must be an origin such as"),
        ("[server]\naccess_url = 'https://x/path'", "line 2: `access_url` in [server] must be an origin such as"),
        ("[summary]\nbase_url = 'api.example.com'", "line 2: `base_url` in [summary] must be a web address such as"),
        ("[summary]\nbase_url = 'https://x/v1?key=1'", "line 2: `base_url` in [summary] must be a web address such as"),
        ("[summary]\nbase_url = 'https://a:b@x/v1'", "line 2: `base_url` in [summary] must be a web address such as"),
        ("[summary]\nbase_url = 'file:///v1'", "line 2: `base_url` in [summary] must be a web address such as"),
        ("[summary]\napi_key = 'two words'", "line 2: `api_key` in [summary] must be one line of visible ASCII"),
        ("[summary]\ntimeout = '31s'", "line 2: `timeout` in [summary] must be a duration from 1s to 30s"),
        ("[summary]\ntimeout = 0", "line 2: `timeout` in [summary] must be a duration from 1s to 30s"),
        ("[identity]\nlocal = 'perhaps'", "line 2: `local` in [identity] must be true or false."),
        ("[log]\nlevel = 'loud'", "line 2: `level` in [log] must be one of debug, info, warning, error."),
        ("[keymap]\nquit = 3", "line 2: `quit` in [keymap] must be keys such as"),
        ("[server]\ndata_dir = '/x'", "line 2: `data_dir` in [server] is in the data directory's own file."),
        ("[[push]]\nconcurrency = 1", "line 1: [push] is a table, not a value."),
        ("[server]\nport = = 1", "is not TOML: "),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_name(tmp_path: Path, source: str, message: str) -> None:
    text = refusal(tmp_path, source)
    assert text.startswith((f"{tmp_path}/pushdesk.toml", f"The configuration file {tmp_path}/pushdesk.toml"))
    assert message in text
    assert "\n" not in text


def test_a_wrong_variable_and_a_wrong_flag_are_named(tmp_path: Path) -> None:
    with pytest.raises(StartUpError, match=r"^PUSHDESK_PORT must be a whole number"):
        read(tmp_path, environ={"PUSHDESK_PORT": "http"})
    with pytest.raises(StartUpError, match=r"^--access-url must be an origin"):
        read(tmp_path, flags={"--access-url": "localhost:8484"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PUSHDESK_CACHE_TLL", "Did you mean `PUSHDESK_CACHE_TTL`?"),
        ("PUSHDESK_EXPERIMENTS_WEBPUSH", "Did you mean `PUSHDESK_EXPERIMENTS_WEB_PUSH`?"),
        ("PUSHDESK_EXPERIMENTS_web-push", "Did you mean `PUSHDESK_EXPERIMENTS_WEB_PUSH`?"),
        ("PUSHDESK_PUSH_ALLOW_ENDPOINT", "Did you mean `PUSHDESK_ALLOW_ENDPOINT`?"),
        ("PUSHDESK_SERVER_PORT", "Did you mean `PUSHDESK_PORT`?"),
        ("PUSHDESK_LOG_LEVLE", "Did you mean `PUSHDESK_LOG_LEVEL`?"),
        ("PUSHDESK_IDENTITY_", "Did you mean `PUSHDESK_IDENTITY_LOCAL`?"),
        ("PUSHDESK_RETENTION_DAY", "Did you mean `PUSHDESK_RETENTION_DAYS`?"),
        ("PUSHDESK_KEYMAP_SIZE", "[keymap] has no variables."),
    ],
)
def test_a_variable_that_is_almost_a_setting_is_refused_with_the_nearest(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(StartUpError) as caught:
        read(tmp_path, environ={"PUSHDESK_LOG_LEVEL": "info", name: "1"})
    assert str(caught.value) == f"{name} is no setting of pushdesk's. {hint}"


def test_variables_that_others_set_are_left_alone(tmp_path: Path) -> None:
    environ = {
        # A service `pushdesk`, one `pushdesk-cache`, and one `pushdesk-server`, as Kubernetes tells of them.
        "PUSHDESK_SERVICE_HOST": "10.0.0.7",
        "PUSHDESK_SERVICE_PORT": "8484",
        "PUSHDESK_SERVICE_PORT_HTTP": "8484",
        "PUSHDESK_PORT_8484_TCP": "tcp://10.0.0.7:8484",
        "PUSHDESK_PORT_8484_TCP_PROTO": "tcp",
        "PUSHDESK_CACHE_SERVICE_HOST": "10.0.0.8",
        "PUSHDESK_CACHE_SERVICE_PORT": "6379",
        "PUSHDESK_CACHE_PORT": "tcp://10.0.0.8:6379",
        "PUSHDESK_CACHE_PORT_6379_TCP": "tcp://10.0.0.8:6379",
        "PUSHDESK_CACHE_PORT_6379_TCP_ADDR": "10.0.0.8",
        "PUSHDESK_SERVER_PORT": "tcp://10.0.0.9:80",
        # What is no setting of any table, what says nothing, and what is not ours.
        "PUSHDESK_REQUIRE": "browsers",
        "PUSHDESK_TOKEN": "x" * 32,
        "PUSHDESK_ADMIN_TOKEN": "x" * 32,
        "PUSHDESK_CACHED_TTL": "5s",
        "PUSHDESK_CACHE_TLL": "",
        "CACHE_TTL": "5s",
    }
    assert read(tmp_path, environ=environ) == read(tmp_path)


def test_a_port_that_kubernetes_sets_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StartUpError, match=r"^PUSHDESK_PORT must be a whole number .* enableServiceLinks: false"):
        read(tmp_path, environ={"PUSHDESK_PORT": "tcp://10.0.0.7:8484"})


def test_the_key_of_the_summariser_is_not_shown(tmp_path: Path) -> None:
    config = read(tmp_path, environ={"PUSHDESK_SUMMARY_API_KEY": "sk-secret"})
    assert config.summary.api_key == "sk-secret"
    assert "sk-secret" not in repr(config)
    with pytest.raises(StartUpError) as caught:
        read(tmp_path, environ={"PUSHDESK_SUMMARY_API_KEY": "sk-secret\nof two lines"})
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://API.example.com/v1/", "https://api.example.com/v1"),
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("https://x/a/b%20c", "https://x/a/b%20c"),
    ],
)
def test_an_address_that_more_is_appended_to_has_no_slash_at_its_end(tmp_path: Path, written: str, meant: str) -> None:
    assert read(tmp_path, environ={"PUSHDESK_SUMMARY_BASE_URL": written}).summary.base_url == meant


@pytest.mark.parametrize(
    ("written", "nearest"),
    [("norf", "nord"), ("light", "ansi-light"), ("pushdesk", "pushdesk-dark"), ("Nord", "nord")],
)
def test_a_theme_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path, written: str, nearest: str) -> None:
    said = f"must be the name of a theme; the nearest is {nearest}."
    source = f'[console]\ntheme = "{written}"\n'
    assert refusal(tmp_path, source) == f"{tmp_path / 'pushdesk.toml'}, line 2: `theme` in [console] {said}"
    if written:
        with pytest.raises(StartUpError, match=f"^PUSHDESK_THEME {said}"):
            read(tmp_path, environ={"PUSHDESK_THEME": written})


def test_a_table_may_stand_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "[outbox]\n[retention]\n[keymap]\n") == read(tmp_path)


@pytest.mark.parametrize("nothing", ["0", "'0MB'"])
def test_no_free_disk_at_all_may_be_asked_for(tmp_path: Path, nothing: str) -> None:
    assert read(tmp_path, f"[outbox]\nmin_free = {nothing}\n").outbox.min_free == 0
    assert read(tmp_path, environ={"PUSHDESK_OUTBOX_MIN_FREE": nothing.strip("'")}).outbox.min_free == 0


def test_a_named_file_must_be_there_and_the_usual_one_need_not(tmp_path: Path) -> None:
    read(tmp_path / "nowhere")
    with pytest.raises(StartUpError, match=r"other\.toml does not exist"):
        read(tmp_path, flags={"--config": str(tmp_path / "other.toml")})


def test_a_file_of_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pushdesk.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in refusal(tmp_path, "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://Push.Example.com/", "https://push.example.com"),
        ("https://push.example.com:443", "https://push.example.com"),
        ("http://[::1]:8484", "http://[::1]:8484"),
    ],
)
def test_an_access_url_is_brought_to_its_origin(tmp_path: Path, written: str, meant: str) -> None:
    assert read(tmp_path, flags={"--access-url": written}).server.access_url == meant


@pytest.mark.parametrize("written", ["https://", "https://a b", "https://u:p@x", "https://x:99999", "https://x?q", ""])
def test_what_is_no_origin_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(StartUpError, match="must be an origin"):
        read(tmp_path, f"[server]\naccess_url = {written!r}")


def test_a_binding_the_console_does_not_have_is_refused_by_line(tmp_path: Path) -> None:
    config = read(tmp_path, '[keymap]\nquit = "ctrl+q"\nhlep = "f1"\n')
    assert config.keymap == {"quit": "ctrl+q", "hlep": "f1"}
    with pytest.raises(StartUpError, match=r"line 3: `hlep` in \[keymap\] is no binding.*Did you mean `help`\?"):
        refuse_unknown_bindings(config, ["help", "quit"])
    refuse_unknown_bindings(config, ["hlep", "quit"])


def test_every_setting_is_documented() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    missing = [setting.flag for setting in SETTINGS if f"`{setting.variable}`" not in document]
    assert not missing


async def test_importing_the_configuration_reads_no_file_and_loads_no_other_room(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda name, args: opened.append(str(args[0])) if name == 'open' else None)\n"
        "import pushdesk.config\n"
        "assert not [name for name in opened if name.endswith('.toml')], opened\n"
        "assert not {'textual', 'aiohttp', 'sqlalchemy', 'structlog'} & set(sys.modules)\n"
    )
    finished = await run(sys.executable, "-c", code, env=bare_environment(tmp_path))
    assert finished.code == 0, finished.err
