/** Light, dark, or as the system says. */

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
const STORED = 'impasto.theme';

class Appearance {
  theme = $state<Theme>(stored());

  choose(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(STORED, theme);
    this.apply();
  }

  apply(): void {
    document.documentElement.dataset['theme'] = this.theme;
  }
}

function stored(): Theme {
  const value = localStorage.getItem(STORED) as Theme | null;
  return value && THEMES.includes(value) ? value : 'auto';
}

export const appearance = new Appearance();
