"""The cameras of this machine, frame by frame. Qt's multimedia is a package of its own, and comes in when it is asked for."""

from collections.abc import Callable
from types import ModuleType

from PySide6.QtCore import QByteArray, QCameraPermission, QElapsedTimer, QLoggingCategory, QObject, Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from desktop_ft.core.errors import UserError
from desktop_ft.core.language import tr

_PACE_MS = 50
"""Frames that come sooner after the last one are not looked at: turning each into pixels would keep the window busy."""
_ENOUGH = 480
"""Lines of a frame that are enough for any network here; the least format with as many is asked for."""


class Camera(QObject):
    """One of the machine's cameras at a time. `seen` gives its frames, `failed` a UserError; `changed`: others are there now.

    Raises:
        UserError: Qt's multimedia is not installed, or cannot be loaded.
    """

    seen = Signal(QImage)
    failed = Signal(object)
    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._media = media = multimedia()
        self._devices = media.QMediaDevices(self)
        self._devices.videoInputsChanged.connect(self.changed)
        self._camera = media.QCamera(self)
        self._camera.errorOccurred.connect(self._failed)
        self._sink = media.QVideoSink(self)
        self._sink.videoFrameChanged.connect(self._took)
        self.capture = media.QMediaCaptureSession(self)
        self.capture.setVideoSink(self._sink)
        self._since = QElapsedTimer()

    @property
    def names(self) -> dict[bytes, str]:
        """What each camera is called, by what it is known by; the system's own choice first."""
        default = self._media.QMediaDevices.defaultVideoInput()
        devices = sorted(self._media.QMediaDevices.videoInputs(), key=lambda device: bool(device != default))
        return {device.id().data(): device.description() for device in devices}

    def start(self, identity: bytes) -> None:
        """Let the camera that is known by `identity` give frames, once the person lets us; the one before stops."""
        permission, application = QCameraPermission(), QApplication.instance()
        if application is None or application.checkPermission(permission) is Qt.PermissionStatus.Granted:
            self._begin(identity)
        else:
            application.requestPermission(permission, self, self._asked(identity))

    def stop(self) -> None:
        """Give the camera back."""
        self._camera.stop()

    def _asked(self, identity: bytes) -> Callable[[object], None]:
        def answered(permission: object) -> None:
            application = QApplication.instance()
            if application is not None and application.checkPermission(QCameraPermission()) is Qt.PermissionStatus.Granted:
                self._begin(identity)
            else:
                self.failed.emit(
                    UserError(
                        tr("The system does not let Desktop FT use the camera."),
                        tr("Allow it in the system's settings for privacy, then open this window again."),
                    )
                )

        return answered

    def _begin(self, identity: bytes) -> None:
        found = [device for device in self._media.QMediaDevices.videoInputs() if device.id() == QByteArray(identity)]
        if not found:
            return  # it has just been taken away, which `changed` tells
        self.stop()
        self._camera.setCameraDevice(found[0])
        formats = sorted(found[0].videoFormats(), key=lambda each: each.resolution().height())
        if enough := [each for each in formats if each.resolution().height() >= _ENOUGH] or formats[-1:]:
            self._camera.setCameraFormat(enough[0])
        self.capture.setCamera(self._camera)
        self._camera.start()

    def _took(self, frame: object) -> None:
        if self._since.isValid() and self._since.elapsed() < _PACE_MS:
            return
        image = frame.toImage()  # type: ignore[attr-defined]
        if not image.isNull():
            self._since.start()
            self.seen.emit(image)

    def _failed(self, kind: object, said: str) -> None:
        if kind is not self._media.QCamera.Error.NoError:
            self.failed.emit(
                UserError(
                    tr("The camera gives no picture: {error}.", error=said.rstrip(".")),
                    tr("See that nothing else uses it, or take another one."),
                )
            )


def multimedia() -> ModuleType:
    """Qt's multimedia.

    Raises:
        UserError: it is not installed, or cannot be loaded.
    """
    # It names each library for graphics hardware that it does without, which nobody can do anything about.
    QLoggingCategory.setFilterRules("qt.multimedia.symbolsresolver*=false")
    try:
        from PySide6 import QtMultimedia
    except ModuleNotFoundError as error:
        raise UserError(
            tr("Cameras need Qt Multimedia, which is not installed."),
            tr("Install it with {command}, then start Desktop FT again.", command="pip install 'desktop-ft[camera]'"),
        ) from error
    except ImportError as error:
        raise UserError(
            tr("Qt Multimedia cannot be loaded: {error}.", error=str(error).rstrip(".")),
            tr("Install what it names, then start Desktop FT again."),
        ) from error
    return QtMultimedia
