"""The client for ordinary programs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from impasto.service import schemas
from impasto.service.client import calls
from impasto.service.client.calls import Call, RecipeValues
from impasto.service.client.connection import Connection
from impasto.service.client.events import ENDED, MAX_FAILURES, READ_TIMEOUT, Event, EventReader, patience

T = TypeVar("T")

Picture = str | Path
"""A file to upload (a `Path`), or the id of a picture that is there already (text)."""


class Client:
    """Talks to a service; use it as a context, or call `close`.

        with Client() as client:
            job = client.submit(Path("photo.jpg"), ["example:oil"], {"height": 600})
            client.save_result(job.id, Path("painted.png"))

    Args:
        url: Of the service; ``IMPASTO_URL`` where none is given, else this machine's.
        key: An API key; ``IMPASTO_KEY`` where none is given. A service on this machine may need none.
        timeout: Seconds to wait for an answer.
        transport: How requests travel, for tests.

    Raises:
        RefusedError: By every method, if the service refuses the request; its sentence says why.
        ServiceError: If it fails, or does not answer.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(url, key, timeout)
        self._http = httpx.Client(transport=transport, **self._connection.options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    # pictures

    def upload(self, path: Path, name: str | None = None) -> schemas.Image:
        """Uploads a picture; the same bytes are kept once.

        Raises:
            ImageError: If the file cannot be read.
        """
        data, own_name = calls.read_picture(path)
        return self._do(calls.upload(data, name or own_name))

    def image(self, image_id: str) -> schemas.Image:
        """An uploaded picture."""
        return self._do(calls.image(image_id))

    def delete_image(self, image_id: str) -> None:
        """Deletes a picture that no job needs."""
        self._do(calls.delete_image(image_id))

    def examples(self) -> list[schemas.Example]:
        """The bundled pictures."""
        return self._do(calls.examples())

    # new jobs

    def submit(
        self,
        content: Picture,
        styles: Sequence[Picture],
        recipe: RecipeValues | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> schemas.Job:
        """Makes a job.

        Args:
            content: The content picture; a `Path` is uploaded first.
            styles: Style pictures, likewise.
            recipe: A `Recipe`, or its values by name; what is not said has its default.
            idempotency_key: The same key makes the job but once, however often this is called.
            options: Of `impasto.service.schemas.JobRequest`, as ``name="Coffee"``, ``priority=9``.
        """
        return self._do(calls.submit(self._body(content, styles, recipe, options), idempotency_key))

    def check(
        self, content: Picture, styles: Sequence[Picture], recipe: RecipeValues | None = None, **options: Any
    ) -> schemas.Check:
        """What a job would be: its recipe, warnings, memory, time, command line."""
        return self._do(calls.check(self._body(content, styles, recipe, options)))

    def sweep(
        self,
        content: Picture,
        styles: Sequence[Picture],
        vary: Mapping[str, Sequence[Any]],
        recipe: RecipeValues | None = None,
        **options: Any,
    ) -> schemas.Job:
        """One job for each combination of values, as ``{"strength": [10, 50, 90]}``; returns their parent."""
        body = self._body(content, styles, recipe, options) | {"vary": {name: list(v) for name, v in vary.items()}}
        return self._do(calls.sweep(body))

    def batch(
        self, contents: Sequence[Picture], styles: Sequence[Picture], recipe: RecipeValues | None = None, **options: Any
    ) -> schemas.Job:
        """One job for each content; returns their parent."""
        body = self._body("", styles, recipe, options) | {"contents": [self._id(content) for content in contents]}
        del body["content"]
        return self._do(calls.batch(body))

    # jobs

    def job(self, job_id: str) -> schemas.Job:
        """One job."""
        return self._do(calls.job(job_id))

    def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        search: str | None = None,
        parent_id: str | None = None,
    ) -> Iterator[schemas.Job]:
        """Jobs, the newest first, page by page as they are asked for."""
        params: dict[str, Any] = {
            "state": state, "kind": kind, "search": search, "parent_id": parent_id, "limit": 100,
        }  # fmt: skip
        while True:
            page = self._do(calls.jobs(params))
            yield from page.items
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def rename(self, job_id: str, name: str) -> schemas.Job:
        """Gives a job another name."""
        return self._do(calls.rename(job_id, name))

    def pause(self, job_id: str) -> schemas.Job:
        """Halts a running job."""
        return self._do(calls.act(job_id, "pause"))

    def resume(self, job_id: str) -> schemas.Job:
        """Lets a paused job go on."""
        return self._do(calls.act(job_id, "resume"))

    def stop(self, job_id: str) -> schemas.Job:
        """Ends a job and keeps its best picture."""
        return self._do(calls.act(job_id, "stop"))

    def cancel(self, job_id: str) -> schemas.Job:
        """Ends a job and keeps nothing."""
        return self._do(calls.act(job_id, "cancel"))

    def retry(self, job_id: str) -> schemas.Job:
        """Lets a failed or cancelled job begin once more."""
        return self._do(calls.act(job_id, "retry"))

    def change(self, job_id: str, **values: float) -> schemas.Job:
        """Changes a job that goes on, as ``strength=70``; see `impasto.recipe.LIVE_TUNABLE`."""
        return self._do(calls.change(job_id, values))

    def again(
        self,
        job_id: str,
        recipe: RecipeValues | None = None,
        *,
        content: Picture | None = None,
        styles: Sequence[Picture] | None = None,
        name: str | None = None,
    ) -> schemas.Job:
        """Makes a new job like another one, with some values changed."""
        body: dict[str, Any] = {"recipe": calls.values_of(recipe)}
        if content is not None:
            body["content"] = self._id(content)
        if styles is not None:
            body["styles"] = [self._id(style) for style in styles]
        if name is not None:
            body["name"] = name
        return self._do(calls.again(job_id, body))

    def delete(self, job_id: str) -> None:
        """Deletes a job; `restore` undoes it for a while."""
        self._do(calls.delete(job_id))

    def restore(self, job_id: str) -> schemas.Job:
        """Takes a deletion back."""
        return self._do(calls.act(job_id, "restore"))

    # what jobs leave

    def wait(self, job_id: str, timeout: float | None = None) -> schemas.Job:
        """Waits until a job has ended, whichever way; returns it as it then is.

        Raises:
            TimeoutError: If it still goes on after so many seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        read_timeout = READ_TIMEOUT if timeout is None else min(READ_TIMEOUT, max(timeout, 0.1))
        for event in self.events(job_id, read_timeout=read_timeout):
            if event is None or event.name == "job":
                job = self.job(job_id)
                if job.state in ENDED:
                    return job
            if end is not None and time.monotonic() > end:
                break
        raise TimeoutError(f"The job {job_id} still goes on after {timeout:g} s.")

    def result(self, job_id: str, *, format: str = "png", wait: float = 0) -> bytes:
        """The painted picture's file.

        Args:
            job_id: Of a job.
            format: ``"png"``, ``"jpeg"``, ``"webp"`` or ``"tiff"``.
            wait: Seconds to wait for it at most.
        """
        return self._do(calls.content(f"/jobs/{job_id}/result", format=format, wait=wait), more_seconds=wait)

    def save_result(self, job_id: str, path: Path, *, timeout: float | None = None) -> schemas.Job:
        """Waits for a job and writes its picture; the suffix says the format.

        Raises:
            OutputError: If the file cannot be written.
        """
        from impasto.formats.files import replace_file

        job = self.wait(job_id, timeout)
        replace_file(path, self.result(job_id, format=calls.format_of(path)))
        return job

    def archive(self, job_id: str, path: Path) -> None:
        """Writes a ZIP of all that a job has made."""
        from impasto.formats.files import replace_file

        with self._connection.errors(), self._http.stream("GET", f"/jobs/{job_id}/archive") as response:
            if response.is_error:
                response.read()
                raise calls.error_of(response)
            replace_file(path, response.iter_bytes())

    def pictures(self, job_id: str) -> list[schemas.IntermediatePicture]:
        """The pictures in between."""
        return self._do(calls.pictures(job_id))

    def picture(self, job_id: str, iteration: int) -> bytes:
        """The file of one picture in between."""
        return self._do(calls.content(f"/jobs/{job_id}/pictures/{iteration}"))

    def losses(self, job_id: str) -> list[schemas.LossPoint]:
        """The losses so far."""
        return self._do(calls.losses(job_id))

    def recipe_toml(self, job_id: str) -> str:
        """The recipe as a file for ``--recipe``."""
        return self._do(calls.text(f"/jobs/{job_id}/recipe.toml"))

    def command(self, job_id: str) -> schemas.CommandLine:
        """The command line that paints the same."""
        return self._do(calls.command(job_id))

    # the service

    def events(
        self, job_id: str | None = None, *, after: int | None = None, read_timeout: float = READ_TIMEOUT
    ) -> Iterator[Event | None]:
        """Follows one job, or all; comes back after a lost connection and misses nothing.

        Args:
            job_id: Of one job.
            after: The last event that is known; by default only those to come.
            read_timeout: Seconds of silence after which None is handed out, and the connection made anew.
        """
        reader = EventReader(after)
        path = f"/jobs/{job_id}/events" if job_id else "/events"
        timeout = httpx.Timeout(self._connection.timeout, read=read_timeout)
        num_failures = 0
        while True:
            headers = {} if reader.last_id is None else {"Last-Event-ID": str(reader.last_id)}
            try:
                with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                    if response.is_error:
                        response.read()
                        raise calls.error_of(response)
                    yield None
                    for line in response.iter_lines():
                        num_failures = 0
                        if event := reader.take(line):
                            yield event
            except httpx.ReadTimeout:
                pass
            except httpx.TransportError as error:
                num_failures += 1
                if num_failures > MAX_FAILURES:
                    raise calls.unreachable(self._connection.url, error) from None
                time.sleep(patience(num_failures))
            reader.break_off()

    def models(self) -> list[schemas.ModelInfo]:
        """The encoders, and whether their weights are there."""
        return self._do(calls.models())

    def download_model(self, name: str) -> schemas.ModelInfo:
        """Lets the service fetch weights."""
        return self._do(calls.download_model(name))

    def version(self) -> schemas.Version:
        """The service's version."""
        return self._do(calls.version())

    def _do(self, call: Call[T], more_seconds: float = 0) -> T:
        timeout = self._connection.timeout + more_seconds
        with self._connection.errors():
            response = self._http.request(call.method, call.path, timeout=timeout, **call.options)
        return call.result(response)

    def _id(self, picture: Picture) -> str:
        return self.upload(picture).id if isinstance(picture, Path) else picture

    def _body(
        self, content: Picture, styles: Sequence[Picture], recipe: RecipeValues | None, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        options = {
            name: [self._id(mask) for mask in value] if name in ("content_masks", "style_masks")
            else self._id(value) if name == "lock_mask" else value
            for name, value in options.items()
            if value is not None
        }  # fmt: skip
        return calls.job_body(self._id(content), [self._id(style) for style in styles], recipe, options)
