"""The configuration: a TOML file, overruled by the environment, overruled by flags, gives one frozen `Config`.

`SETTINGS` is the one list of what can be set. A setting `ttl` of the table `[cache]` is the flag `--cache-ttl` and the
variable `PUSHDESK_CACHE_TTL`; a few that everybody needs have a shorter name (`--port`). Importing this reads nothing.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from pushdesk.config_file import ConfigFile, nearest, read_config_file
from pushdesk.errors import StartUpError
from pushdesk.masked import Masked
from pushdesk.model import Experiment
from pushdesk.setting_values import (
    LOG_LEVELS,
    Reader,
    choice,
    credential,
    duration,
    networks,
    origin,
    origins,
    origins_or_any,
    size,
    switch,
    text,
    theme,
    web_address,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE_NAME: Final = "pushdesk.toml"
ON_BY_DEFAULT: Final = frozenset({Experiment.WEB_PUSH})
"""The experiments that are on unless they are switched off."""


class ServerConfig(Struct, frozen=True):
    """Where the server listens and how it is reached."""

    host: str = "localhost"
    """Address to listen on; `localhost` is both 127.0.0.1 and ::1."""
    port: int = 8484
    """Port to listen on; 0 takes a free one."""
    access_url: str | None = None
    """Origin under which browsers reach the server; by default `http://localhost:PORT`."""
    seal_key_file: Path | None = None
    """Where the key is that secrets in the database are sealed with, unless `PUSHDESK_SEAL_KEY` holds it."""
    allow_origin: tuple[str, ...] = ()
    """Origins of other sites whose pages may subscribe browsers here."""
    trusted_proxy: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks of proxies that are believed whose request they pass on."""
    max_connections: int = 2000
    """Connections that may be open."""
    max_connections_per_address: int = 200
    """Connections that may be open from one address, other than this machine's own and proxies'."""
    rate_per_token: int = 1000
    """Requests per second with one access token; 0 is no limit."""
    rate_per_address: int = 10
    """Requests per second without one from one address other than this machine's own; 0 is no limit."""


class PushConfig(Struct, frozen=True):
    """How push services are talked to."""

    subscriber: str | None = None
    """VAPID `sub` claim, `mailto:` or `https:`, whom a push service would write to; by default the access URL."""
    allow_endpoint: tuple[str, ...] = ()
    """Origins that are sent to although they are no known push service, be they http or private."""
    click_origin: tuple[str, ...] = ()
    """Origins that clicks on notifications may lead to besides this server's and `allow_origin`; `*` is every one."""
    egress_proxy: str | None = None
    """Origin of the HTTP proxy through which known push services are reached; `allow_endpoint` is reached without."""
    connect_timeout_s: int = 5
    """Seconds for a connection to a push service to come about."""
    total_timeout_s: int = 15
    """Seconds for one whole request to a push service."""
    concurrency: int = 100
    """Requests under way at once, per push service."""
    rate: int = 0
    """Requests that start per second, per push service; 0 is no limit."""
    max_devices: int = 50
    """Subscriptions that one user may have."""
    senders: int | None = None
    """Processes that send for a server; 0: its own does. None: one fewer than it has cores, and at least one."""


class CacheConfig(Struct, frozen=True):
    """How long, and in how much memory, users' subscriptions are remembered."""

    ttl_s: int = 180
    """Seconds for which a user's subscriptions are not read again; 0 switches the cache off."""
    max_size: int = 40_000_000
    """Bytes of memory for the whole cache."""


class OutboxConfig(Struct, frozen=True):
    """How much may wait, and on how little room, before nothing more is accepted."""

    max_queue: int = 1_000_000
    """Deliveries that are not settled."""
    min_free: int = 200_000_000
    """Bytes of disk that are left for what was accepted before; 0 is none."""


class RetentionConfig(Struct, frozen=True):
    """How long, and how much of, what is done is kept."""

    days: int = 30
    """Days for which what was sent is kept after its last change; 0 is for ever."""
    rows: int = 1_000_000
    """Deliveries that are kept, and as many dispatches; 0 is all."""
    disabled_s: int = 30 * 24 * 3600
    """Seconds for which a subscription that has ended is kept, so that it can be restored; 0 is for ever."""


class SummaryConfig(Masked, Struct, frozen=True):
    """Who writes the summaries of turns, if the experiment is on. Its repr does not show the key."""

    base_url: str | None = None
    """Of an API like OpenAI's: `/chat/completions` is appended to it."""
    api_key: str | None = None
    api_key_file: Path | None = None
    """Where the key is, unless `api_key` is set."""
    timeout_s: int = 5
    """Seconds after which a turn goes out with the summary that pushdesk made."""

    def __repr__(self) -> str:
        return f"SummaryConfig(base_url={self.base_url!r})"


class IdentityConfig(Struct, frozen=True):
    """Who may say which user they are."""

    local: bool = True
    """Whether the page, opened on this machine, may name its user without a token."""


class LogConfig(Struct, frozen=True):
    """What is logged, and where to."""

    level: str = "info"
    file: Path | None = None
    """Where the log goes; by default `pushdesk.log` in the data directory."""


class ConsoleConfig(Struct, frozen=True):
    """How the console looks."""

    theme: str = "pushdesk-dark"
    """Its colours, until others are chosen in it."""


class Secret(NamedTuple):
    """A text that is not shown."""

    text: str = ""

    def __repr__(self) -> str:
        return "Secret()"


class Config(Struct, frozen=True):
    """All settings, read and checked."""

    data_dir: Path
    """Folder of the database, the keys, the admin token and the log."""
    file: Path = Path(FILE_NAME)
    """The configuration file, be it there or not."""
    server: ServerConfig = ServerConfig()
    push: PushConfig = PushConfig()
    cache: CacheConfig = CacheConfig()
    outbox: OutboxConfig = OutboxConfig()
    retention: RetentionConfig = RetentionConfig()
    experiments: frozenset[Experiment] = ON_BY_DEFAULT
    """The experiments that are set to be on; `is_on` says whether one is."""
    summary: SummaryConfig = SummaryConfig()
    identity: IdentityConfig = IdentityConfig()
    log: LogConfig = LogConfig()
    console: ConsoleConfig = ConsoleConfig()
    seal_key: Secret = Secret()
    """What `PUSHDESK_SEAL_KEY` holds; `pushdesk.seal_key` reads it."""
    keymap: dict[str, str] = {}
    """Binding id -> keys, separated by commas."""
    dev: bool = False
    """Whether somebody develops: every experiment is then on, and the log level is debug unless it is set."""

    @property
    def click_origins(self) -> frozenset[str]:
        """Origins that clicks on notifications may lead to besides this server's own; `*` is every one."""
        return frozenset((*self.push.click_origin, *self.server.allow_origin))

    def is_on(self, experiment: Experiment) -> bool:
        """Whether an experiment is on: as it is set, and always while somebody develops."""
        return self.dev or experiment in self.experiments


class Setting(NamedTuple):
    """One thing that can be set."""

    table: str
    key: str
    read: Reader
    field: str = ""
    """Name in `Config` where it differs from the key, because it says a unit."""
    name: str = ""
    """Name of flag and variable where it is not `table-key`."""
    short: str = ""
    """Name of the flag alone where it is shorter still."""

    @property
    def flag(self) -> str:
        """The flag, as it is typed."""
        return f"--{self.short or self._name}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "PUSHDESK_" + self._name.replace("-", "_").upper()

    @property
    def _name(self) -> str:
        return self.name or f"{self.table}-{self.key}".replace("_", "-")


SETTINGS: Final = (
    Setting("server", "host", text, name="host"),
    Setting("server", "port", whole(0, 65535), name="port"),
    Setting("server", "access_url", origin, name="access-url"),
    Setting("server", "allow_origin", origins, name="allow-origin"),
    Setting("server", "trusted_proxy", networks, name="trusted-proxy"),
    Setting("server", "max_connections", whole(16, 100_000)),
    Setting("server", "max_connections_per_address", whole(1, 100_000)),
    Setting("server", "rate_per_token", whole(0, 1_000_000)),
    Setting("server", "rate_per_address", whole(0, 1_000_000)),
    Setting("server", "data_dir", text, name="data-dir"),
    Setting("server", "seal_key_file", text, name="seal-key-file"),
    Setting("server", "dev", switch, name="dev"),
    Setting("push", "subscriber", text),
    Setting("push", "allow_endpoint", origins, name="allow-endpoint"),
    Setting("push", "click_origin", origins_or_any, name="click-origin"),
    Setting("push", "egress_proxy", origin),
    Setting("push", "connect_timeout", duration(1, 60), field="connect_timeout_s"),
    Setting("push", "total_timeout", duration(1, 300), field="total_timeout_s"),
    Setting("push", "concurrency", whole(1, 1000)),
    Setting("push", "rate", whole(0, 100_000)),
    Setting("push", "max_devices", whole(1, 1000)),
    Setting("push", "senders", whole(0, 64), short="senders"),
    Setting("cache", "ttl", duration(0, 24 * 3600), field="ttl_s"),
    Setting("cache", "max_size", size(10**6, 10**11)),
    Setting("outbox", "max_queue", whole(1, 100_000_000)),
    Setting("outbox", "min_free", size(0, 10**15)),
    Setting("retention", "days", whole(0, 3650)),
    Setting("retention", "rows", whole(0, 1_000_000_000)),
    Setting("retention", "disabled", duration(0, 3650 * 24 * 3600), field="disabled_s"),
    *(Setting("experiments", experiment, switch) for experiment in Experiment),
    Setting("summary", "base_url", web_address),
    Setting("summary", "api_key", credential),
    Setting("summary", "api_key_file", text),
    Setting("summary", "timeout", duration(1, 30), field="timeout_s"),
    Setting("identity", "local", switch),
    Setting("log", "level", choice(*LOG_LEVELS)),
    Setting("log", "file", text),
    Setting("console", "theme", theme, name="theme"),
)

_OF_A_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)")
_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")
"""How Kubernetes names, and begins, the variables that tell every container of the services beside it."""


def load(flags: Mapping[str, object], environ: Mapping[str, str], *, default_data_dir: Path) -> Config:
    """Read the configuration.

    Args:
        flags: What was given on the command line, by flag (`--port`); None is not given. `--config` names the file.
        environ: The environment.
        default_data_dir: The data directory if nothing names another.

    Raises:
        StartUpError: A file that cannot be read, an unknown table, key or variable, a value that cannot be used. Says
            where.
    """
    _refuse_unknown_variables(environ)
    overruled = {(setting.table, setting.key): _overruled(setting, flags, environ) for setting in SETTINGS}
    data_dir = Path(str(overruled["server", "data_dir"] or default_data_dir)).expanduser()
    named = flags.get("--config") or environ.get("PUSHDESK_CONFIG")
    path = Path(str(named)).expanduser() if named else data_dir / FILE_NAME
    file = read_config_file(path, must_exist=bool(named))
    file.refuse_unknown(
        {setting.table: [other.key for other in SETTINGS if other.table == setting.table] for setting in SETTINGS}
        | {"keymap": None}
    )
    if not named and "data_dir" in file.tables.get("server", {}):
        raise file.error("server", "data_dir", problem="is in the data directory's own file.", hint="Use --config.")

    values: dict[str, dict[str, Any]] = {}
    for setting in SETTINGS:
        value = overruled[setting.table, setting.key]
        if value is None:
            value = _in_file(setting, file)
        if value is not None:
            values.setdefault(setting.table, {})[setting.field or setting.key] = value
    return _assemble(values, data_dir, file, Secret(environ.get("PUSHDESK_SEAL_KEY", "")))


def refuse_unknown_bindings(config: Config, bindings: Sequence[str]) -> None:
    """Refuse a keymap with a binding id that the console does not have.

    Raises:
        StartUpError: Names file, line and nearest valid id.
    """
    for binding in config.keymap:
        if binding not in bindings:
            file = read_config_file(config.file, must_exist=False)
            problem = "is no binding of the console's."
            raise file.error("keymap", binding, problem=problem, hint=nearest(binding, bindings))


def _assemble(values: dict[str, dict[str, Any]], data_dir: Path, file: ConfigFile, seal_key: Secret) -> Config:
    server, log = values.get("server", {}), values.get("log", {})
    dev = server.pop("dev", False)
    paths = ((log, "file"), (server, "seal_key_file"), (values.get("summary", {}), "api_key_file"))
    for table, key in paths:
        if key in table:
            table[key] = Path(table[key]).expanduser().absolute()
    if dev:
        log = {"level": "debug"} | log
    return Config(
        data_dir=Path(server.pop("data_dir", data_dir)).expanduser().absolute(),
        file=file.path,
        server=ServerConfig(**server),
        push=PushConfig(**values.get("push", {})),
        cache=CacheConfig(**values.get("cache", {})),
        outbox=OutboxConfig(**values.get("outbox", {})),
        retention=RetentionConfig(**values.get("retention", {})),
        experiments=_experiments(values.get("experiments", {})),
        summary=SummaryConfig(**values.get("summary", {})),
        identity=IdentityConfig(**values.get("identity", {})),
        log=LogConfig(**log),
        console=ConsoleConfig(**values.get("console", {})),
        seal_key=seal_key,
        keymap=_keymap(file),
        dev=dev,
    )


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Refuse variables that would be settings of a table and are none: a typo must not leave on what was to be off."""
    known = {setting.variable for setting in SETTINGS}
    tables = dict.fromkeys([setting.table for setting in SETTINGS]) | {"keymap": None}
    for name, value in environ.items():
        if not value or name in known or _OF_A_SERVICE.search(name) or _ADDRESS.match(value):
            continue
        for table in tables:
            if name.startswith(f"PUSHDESK_{table.upper()}_"):
                variables = [setting.variable for setting in SETTINGS if setting.table == table]
                hint = nearest(name, variables) if variables else f"[{table}] has no variables."
                raise StartUpError(f"{name} is no setting of pushdesk's.", hint=hint)


def _overruled(setting: Setting, flags: Mapping[str, object], environ: Mapping[str, str]) -> object:
    """Return what the flag or the variable says; None if neither does. An empty one says nothing."""
    for name, value in ((setting.flag, flags.get(setting.flag)), (setting.variable, environ.get(setting.variable))):
        if value is None or value in ("", [], ()):
            continue
        try:
            return setting.read(value)
        except ValueError as error:
            hint = ""
            if isinstance(value, str) and _ADDRESS.match(value):
                hint = "Kubernetes sets it for a service of this name: say enableServiceLinks: false, or rename that."
            raise StartUpError(f"{name} {error}.", hint=hint) from None
    return None


def _in_file(setting: Setting, file: ConfigFile) -> object:
    value = file.tables.get(setting.table, {}).get(setting.key)
    if value is None:
        return None
    try:
        return setting.read(value)
    except ValueError as error:
        raise file.error(setting.table, setting.key, problem=f"{error}.") from None


def _experiments(switched: Mapping[str, bool]) -> frozenset[Experiment]:
    """Tell which experiments are on when these were switched on or off."""
    return frozenset(experiment for experiment in Experiment if switched.get(experiment, experiment in ON_BY_DEFAULT))


def _keymap(file: ConfigFile) -> dict[str, str]:
    """Read `[keymap]`; which binding ids there are is the console's to know."""
    keymap = file.tables.get("keymap", {})
    for binding, keys in keymap.items():
        if not isinstance(keys, str) or not keys:
            raise file.error("keymap", binding, problem='must be keys such as "ctrl+s" or "j,down".')
    return dict(keymap)
