// Entry of the page: follows the demo and mounts the view.
import { render } from 'preact';
import { follow } from './link.ts';
import { link, takeHistory, takeSnapshot } from './state.ts';
import { Page } from './views/page.tsx';

follow('/api/events', {
  history: takeHistory,
  snapshot: takeSnapshot,
  state: (state) => {
    link.value = state;
  },
});

const root = document.getElementById('page');
if (root !== null) render(<Page />, root);
