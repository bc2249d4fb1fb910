import { mount } from 'svelte';

import App from './App.svelte';
import { appearance } from './lib/state/theme.svelte';
import './studio.css';

appearance.apply();
mount(App, { target: document.getElementById('app')! });
