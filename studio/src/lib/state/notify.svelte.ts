/** Notifications of finished pictures: asked for once, on a click, never by themselves. */
const STORED = 'impasto.notify';

class Notifications {
  isOn = $state(
    isPossible() && Notification.permission === 'granted' && localStorage.getItem(STORED) === 'on',
  );

  get isPossible(): boolean {
    return isPossible();
  }

  async toggle(): Promise<void> {
    const isOn = !this.isOn && (await Notification.requestPermission()) === 'granted';
    this.isOn = isOn;
    localStorage.setItem(STORED, isOn ? 'on' : 'off');
  }

  tell(title: string, body: string, open: () => void): void {
    if (!this.isOn || !document.hidden) return;
    try {
      const notification = new Notification(title, { body, icon: './icon-192.png' });
      notification.onclick = () => {
        window.focus();
        open();
        notification.close();
      };
    } catch {
      // Chrome on Android shows notifications only through a service worker, which the studio has none of.
    }
  }
}

function isPossible(): boolean {
  return 'Notification' in window;
}

export const notifications = new Notifications();
