// What must hold of the patcher: every control reaches the script as interface.json says, and everything that the script says
// reaches its box. The script is a recorder here, so that each check is about wires alone. `device.test.mjs` runs these on the
// device as it is, `device_wires.test.mjs` on the device with each of its wires cut.

import { checks as panel } from './checks_panel.mjs';
import { checks as sound } from './checks_sound.mjs';
import { checks as socketChecks } from './checks_socket.mjs';

const checks = { ...panel, ...sound };

export { checks, socketChecks };
