/** The page's language: chosen by the browser, switchable, remembered. */
import { en, type Messages } from './en';
import { pl } from './pl';

export const LANGUAGES = { en: 'English', pl: 'Polski' } as const;
export type Language = keyof typeof LANGUAGES;

const CATALOGS: Record<Language, Messages> = { en, pl };
const STORED = 'impasto.language';

class I18n {
  language = $state<Language>(preferred());

  choose(language: Language): void {
    this.language = language;
    localStorage.setItem(STORED, language);
  }
}

function preferred(): Language {
  if (typeof localStorage === 'undefined') return 'en'; // outside a browser
  const wanted = [localStorage.getItem(STORED), ...navigator.languages].map((tag) => (tag ?? '').slice(0, 2));
  return (wanted.find((tag) => tag in CATALOGS) as Language | undefined) ?? 'en';
}

export const i18n = new I18n();

/** The words of the chosen language. */
export function t(): Messages {
  return CATALOGS[i18n.language];
}
