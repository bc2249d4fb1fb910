"""``impasto serve`` and ``impasto worker``: the service, and a worker of it by itself."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from impasto.cli.options import TypedPath
from impasto.errors import UserError

if TYPE_CHECKING:
    from impasto.service.settings import Settings

Data = Annotated[TypedPath | None, Parameter(help="Folder for database, pictures and temporary files.")]
DatabaseUrl = Annotated[
    str | None, Parameter(help="postgresql://USER@HOST/NAME; better by environment or file where it has a password.")
]
ArtifactsUrl = Annotated[str | None, Parameter(help="s3://BUCKET/PREFIX or file:///FOLDER for pictures.")]
Device = Annotated[str | None, Parameter(help="Where to compute: auto, cpu, cuda …")]
LogFormat = Annotated[Literal["text", "json"] | None, Parameter(help="How log lines are written to stderr.")]


def serve(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen at; others than loopback need a key first.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen at; 0 takes a free one.")] = None,
    workers: Annotated[int | None, Parameter(help="Worker processes, which share the cores; 0 for none.")] = None,
    data: Data = None,
    database_url: DatabaseUrl = None,
    artifacts_url: ArtifactsUrl = None,
    device: Device = None,
    open_browser: Annotated[
        bool, Parameter(name="--open", negative=(), help="Open the studio in the browser.")
    ] = False,
    log_format: LogFormat = None,
) -> int:
    """Serve the studio and the API on this machine, and paint what they ask for."""
    settings_of = _settings_class()
    from impasto.service.serving import serve as run

    settings = settings_of.load(
        host=host, port=port, workers=workers, data=data, database_url=database_url, artifacts_url=artifacts_url,
        device=device, log_format=log_format,
    )  # fmt: skip
    return run(settings, opens_browser=open_browser)


def worker(
    *,
    data: Data = None,
    database_url: DatabaseUrl = None,
    artifacts_url: ArtifactsUrl = None,
    device: Device = None,
    log_format: LogFormat = None,
) -> int:
    """Paint jobs of a service elsewhere, with which this worker shares database and artifacts."""
    settings_of = _settings_class()
    from impasto.service.logs import configure_logs
    from impasto.service.worker.process import work

    settings = settings_of.load(
        data=data, database_url=database_url, artifacts_url=artifacts_url, device=device, log_format=log_format
    )
    configure_logs(settings.log_format)
    return work(settings)


def _settings_class() -> "type[Settings]":
    """The settings, if what the service needs is installed."""
    try:
        from impasto.service.settings import Settings
    except ModuleNotFoundError as error:
        raise UserError(f"The service needs more packages ({error.name}); pip install 'impasto[service]'.") from None
    return Settings
