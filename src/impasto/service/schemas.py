"""What goes over the wire: the bodies of requests and answers, as the API sends them and the client reads them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from impasto.recipe import LIVE_TUNABLE, LOOKS, Recipe

Kind = Literal["picture", "sweep", "batch"]
State = Literal["queued", "running", "paused", "done", "stopped", "cancelled", "failed"]
Scope = Literal["read", "write", "admin"]

PictureId = Annotated[
    str,
    Field(
        pattern=r"^(example:[a-z0-9_-]{1,64}|[A-Za-z0-9_-]{1,64})$",
        description="Of an uploaded picture, or of a bundled one, as example:coffee.",
        examples=["example:coffee"],
    ),
]
JobName = Annotated[str, Field(max_length=200, description="For people; any text.", examples=["Coffee in oil"])]
Priority = Annotated[int, Field(strict=True, ge=0, le=9, description="9 goes first.")]
SavingInterval = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=10_000_000,
        description="Keep the picture in between every so many iterations; 0 keeps none.",
    ),
]
StylePictures = Annotated[list[PictureId], Field(min_length=1, max_length=16)]
MaskPictures = Annotated[list[PictureId], Field(max_length=16)]


class Body(BaseModel):
    """Base of requests' bodies: an unknown name is an error."""

    model_config = ConfigDict(extra="forbid")


class FieldProblem(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457); ``detail`` is the sentence that the command line would say."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["height is 0; it must be a whole number, at least 1 and at most 1,000,000."])
    errors: list[FieldProblem] | None = None


class Image(BaseModel):
    """An uploaded picture, or a bundled one."""

    id: str = Field(examples=["example:coffee"])
    sha256: str
    name: str = Field(examples=["coffee.jpg"])
    format: str = Field(examples=["JPEG"])
    media_type: str = Field(examples=["image/jpeg"])
    width: int = Field(description="Pixels, upright.")
    height: int = Field(description="Pixels, upright.")
    bytes: int
    created_at: datetime
    notes: list[str] = Field(description="What was passed over or converted while reading it.")
    thumbnail_url: str
    file_url: str


class Images(BaseModel):
    """A page of pictures, the newest first."""

    items: list[Image]
    next_cursor: str | None


class Example(BaseModel):
    """A bundled picture; its id is taken wherever a picture's is."""

    id: str = Field(examples=["example:coffee"])
    name: str
    kind: Literal["content", "style"]
    title: str
    credit: str
    width: int
    height: int
    thumbnail_url: str
    file_url: str


class Losses(BaseModel):
    """The objective and its weighted parts; None where a value is not finite."""

    total: float | None = None
    content: float | None = None
    style: float | None = None
    tv: float | None = None


class LossPoint(Losses):
    """Losses at one iteration."""

    iteration: int


class ChangeMade(BaseModel):
    """Values that were changed while a job went on."""

    iteration: int
    values: dict[str, float]


class Plan(BaseModel):
    """What a job is expected to take."""

    peak_bytes: int | None = None
    seconds: float | None = None
    size: list[int] | None = Field(None, description="Height and width of the picture in pixels.")


class JobLinks(BaseModel):
    """Where the rest of a job is found."""

    self: str
    events: str
    pictures: str
    losses: str
    recipe: str
    command: str
    archive: str


class Job(BaseModel):
    """A picture that is painted, or a sweep or batch of them."""

    id: str
    kind: Kind
    name: str
    state: State
    parent_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    priority: int
    attempt: int = Field(description="How often it was begun; a worker that died makes another attempt.")
    content: Image | None
    styles: list[Image]
    content_masks: list[Image]
    style_masks: list[Image]
    lock_mask: Image | None
    recipe: dict[str, Any] = Field(description="As resolved, every value included.")
    asked: dict[str, Any] = Field(description="Only what was set of the recipe.")
    changes: list[ChangeMade]
    iteration: int
    total_iterations: int | None
    level: int
    num_levels: int
    size: list[int] | None = Field(description="Height and width in pixels.")
    losses: Losses
    seconds: float
    eta_seconds: float | None
    stop_reason: str | None
    stop_sentence: str | None
    error: str | None
    warnings: list[str]
    plan: Plan
    preview_version: int
    revision: int = Field(description="Rises with each change of the job; of two answers, the higher one is newer.")
    preview_url: str | None
    result_url: str | None
    thumbnail_url: str | None
    num_cells: int = 0
    num_done: int = 0
    num_failed: int = 0
    sheet_url: str | None = None
    report_url: str | None = None
    vary: dict[str, Any] | None = Field(None, description="Of a sweep: values by parameter. Of a cell: its values.")
    is_deleted: bool = False
    links: JobLinks


class Jobs(BaseModel):
    """A page of jobs, the newest first."""

    items: list[Job]
    next_cursor: str | None


class Progress(BaseModel):
    """One iteration of a running job, as the event stream has it."""

    job_id: str
    iteration: int
    total_iterations: int
    level: int
    num_levels: int
    losses: Losses
    seconds: float
    eta_seconds: float | None


class IntermediatePicture(BaseModel):
    """A picture in between."""

    iteration: int
    url: str


EXAMPLE_JOB: dict[str, Any] = {
    "content": "example:coffee",
    "styles": ["example:oil"],
    "recipe": {"height": 128, "total_iterations": 60, "model": "compact", "strength": 60},
    "name": "Coffee in oil",
}


class JobRequest(Body):
    """A picture to be painted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_JOB]})

    content: PictureId
    styles: StylePictures
    recipe: Recipe = Field(default_factory=Recipe, description="Only what differs from the defaults.")
    content_masks: MaskPictures = Field([], description="Where each style goes; one for each style, in their order.")
    style_masks: MaskPictures = Field([], description="Which part of each style counts; one for each style.")
    lock_mask: PictureId | None = Field(None, description="White where the content stays as it is.")
    name: JobName = ""
    priority: Priority = 5
    saving_interval: SavingInterval = 100


class AgainRequest(Body):
    """What is to be different in a new job that is made like another one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"recipe": {"strength": 80}}]})

    recipe: Recipe = Field(default_factory=Recipe, description="Values that differ from the other job's.")
    content: PictureId | None = None
    styles: StylePictures | None = None
    name: JobName | None = None


class JobPatch(Body):
    """What can be edited of a job."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "The good one"}]})

    name: JobName


def _nothing() -> None:
    """Of a value that is not given; null is not allowed."""


def _changes_model() -> type[Body]:
    fields: dict[str, Any] = {}
    for name in LIVE_TUNABLE:
        info = Recipe.model_fields[name]
        limits: Any = Field(default_factory=_nothing, description=info.description, strict=True)
        limits.metadata += info.metadata
        kind = int if name == "total_iterations" else float
        fields[name] = (kind, limits)
    model = create_model("Changes", __base__=Body, __doc__="New values for a job that goes on.", **fields)
    model.model_config["json_schema_extra"] = {"examples": [{"strength": 70}], "minProperties": 1}
    model.model_rebuild(force=True)
    return model


Changes = _changes_model()
"""The recipe's live parameters, each optional."""


class Check(BaseModel):
    """What a job would be, without making it."""

    recipe: dict[str, Any]
    warnings: list[str]
    plan: Plan
    command: str = Field(examples=["impasto stylize coffee.jpg oil.jpg --model compact"])
    toml: str


class SweepRequest(Body):
    """One picture painted with each combination of some values."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [EXAMPLE_JOB | {"name": "How strong?", "vary": {"strength": [20, 50, 80]}}]},
    )

    content: PictureId
    styles: StylePictures
    recipe: Recipe = Field(default_factory=Recipe)
    vary: dict[str, Annotated[list[Any], Field(min_length=1, max_length=100)]] = Field(
        description="Values by the parameter's name; every combination is a cell.", min_length=1, max_length=8
    )
    content_masks: MaskPictures = []
    style_masks: MaskPictures = []
    lock_mask: PictureId | None = None
    name: JobName = ""
    priority: Priority = 5


class BatchRequest(Body):
    """Several pictures, each painted by the same recipe."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "contents": ["example:coffee", "example:chelsea"],
                    "styles": ["example:oil"],
                    "recipe": EXAMPLE_JOB["recipe"],
                }
            ]
        },
    )

    contents: Annotated[list[PictureId], Field(min_length=1, max_length=1000)]
    styles: StylePictures
    recipe: Recipe = Field(default_factory=Recipe)
    name: JobName = ""
    priority: Priority = 5
    saving_interval: SavingInterval = 0


class CommandLine(BaseModel):
    """The command that paints the same picture."""

    command: str
    notes: list[str] = []


class FoundPicture(BaseModel):
    """What a painted picture remembers of one that it was made from."""

    name: str
    sha256: str
    image_id: str | None = Field(description="Of the caller's pictures or the bundled ones, if it is among them.")


class FoundRecipe(BaseModel):
    """The recipe that a picture carries."""

    recipe: dict[str, Any]
    content: FoundPicture
    styles: list[FoundPicture]
    content_masks: list[FoundPicture]
    style_masks: list[FoundPicture]
    lock_mask: FoundPicture | None
    warnings: list[str]


class Regions(BaseModel):
    """Masks that were found, as pictures."""

    masks: list[Image]


class RecipeSchema(BaseModel):
    """Everything that a form for the recipe needs."""

    json_schema: dict[str, Any]
    groups: list[dict[str, Any]]
    live_tunable: list[str]
    looks: list["LookInfo"]
    presets: list["Preset"]


class LookInfo(BaseModel):
    """A named bundle of values."""

    name: str = Field(examples=list(LOOKS)[:1])
    summary: str
    values: dict[str, Any]
    is_default: bool


class Preset(BaseModel):
    """A recipe to start from."""

    name: str
    summary: str
    recipe: dict[str, Any]


class Download(BaseModel):
    """A download of weights."""

    num_bytes: int
    total_bytes: int | None
    error: str | None = None


class ModelInfo(BaseModel):
    """An encoder, and whether its weights are on the service's machine."""

    name: str = Field(examples=["vgg19"])
    description: str
    is_ready: bool
    size_bytes: int | None
    download: Download | None


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(BaseModel):
    """Whether jobs can be taken, and what each part says."""

    is_ready: bool
    checks: dict[str, str]


class Version(BaseModel):
    """Versions of the package and of the API."""

    version: str
    api: str


class SessionRequest(Body):
    """A key, to be traded for a cookie."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"key": "imp_…"}]})

    key: Annotated[str, Field(min_length=1, max_length=200)]


class Caller(BaseModel):
    """Who is asking."""

    name: str
    scopes: list[Scope]
    needs_key: bool = Field(description="Whether this service asks for keys.")


RecipeSchema.model_rebuild()
